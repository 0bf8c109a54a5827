/* SPDX-License-Identifier: MIT */
/* What every client does before a scenario gets interesting: stream, SASL PLAIN, resource, roster and
 * presence, each answer looked at only as far as to know that it went well. Scenarios about these things use
 * the raw steps instead. */
#include "play.h"

#include "base/base64.h"

#include <stdlib.h>

#define NS_OF_STREAMS "http://etherx.jabber.org/streams"
#define NS_OF_SASL    "urn:ietf:params:xml:ns:xmpp-sasl"

/* The next element has to be this one. */
static bool took(struct play *play, struct actor *actor, const char *ns, const char *name, const char *type)
{
    struct tree *tree = actor_take(actor);
    const char *got = tree ? tree_attr(tree, "type") : NULL;
    bool ok = tree && tree_is(tree, ns, name) && (!type || (got && !strcmp(got, type)));
    if (!ok)
        play_fail(play, "%s expected <%s/> while logging in and got <%s/>", actor->name, name,
                  tree ? tree->name : "nothing");
    tree_free(tree);
    return ok;
}

static bool send_header(struct play *play, struct actor *actor, const char *host)
{
    struct buf out;
    actor_expect_header(actor);
    buf_init(&out, 1000);
    buf_addf(&out,
             "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
             "xmlns:stream='" NS_OF_STREAMS "'>",
             host);
    actor_send(actor, buf_str(&out));
    buf_fini(&out);
    return took(play, actor, NS_OF_STREAMS, "features", NULL);
}

bool login_open(struct play *play, struct actor *actor, const char *host)
{
    if (!actor_connect(actor))
        return play_fail(play, "%s can't connect", actor->name);
    return send_header(play, actor, host);
}

bool login_authenticate(struct play *play, struct actor *actor, str user, str password)
{
    struct buf plain, out;
    str host = user;
    str local = str_cut(&host, '@');
    host = str_cut(&host, '/');
    char *name = str_dup(host);
    buf_init(&plain, 1000);
    buf_add_char(&plain, '\0');
    buf_add(&plain, local);
    buf_add_char(&plain, '\0');
    buf_add(&plain, password);
    buf_init(&out, 4000);
    buf_lit(&out, "<auth xmlns='" NS_OF_SASL "' mechanism='PLAIN'>");
    base64_encode(&out, buf_str(&plain));
    buf_lit(&out, "</auth>");
    actor_send(actor, buf_str(&out));
    bool ok = took(play, actor, NS_OF_SASL, "success", NULL) && send_header(play, actor, name);
    buf_fini(&plain);
    buf_fini(&out);
    free(name);
    return ok;
}

static bool bind_resource(struct play *play, struct actor *actor, str jid)
{
    struct buf out;
    str resource = jid;
    str_cut(&resource, '/');
    buf_init(&out, 4000);
    buf_lit(&out, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>");
    if (resource.p)
        buf_addf(&out, "<resource>%.*s</resource>", STR_ARGS(resource));
    buf_lit(&out, "</bind></iq>");
    actor_send(actor, buf_str(&out));
    buf_fini(&out);
    return took(play, actor, "jabber:client", "iq", "result");
}

bool login_connect(struct play *play, struct actor *actor)
{
    if (!actor->jid)
        return play_fail(play, "%s has no address: write \"%s = user@host/resource\" above", actor->name,
                         actor->name);
    str jid = str_from(actor->jid);
    str host = jid;
    str_cut(&host, '@');
    char *name = str_dup(str_cut(&host, '/'));
    bool ok = login_open(play, actor, name) && login_authenticate(play, actor, jid, STR("secret")) &&
              bind_resource(play, actor, jid);
    free(name);
    return ok;
}

bool login_online(struct play *play, struct actor *actor)
{
    if (!login_connect(play, actor))
        return false;
    actor_send(actor, STR("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"));
    if (!took(play, actor, "jabber:client", "iq", "result"))
        return false;
    actor_send(actor, STR("<presence/>"));
    if (!actor->first)
        return play_fail(play, "%s got nothing for its initial presence", actor->name);
    actor_forget(actor);
    return true;
}
