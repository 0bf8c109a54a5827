/* SPDX-License-Identifier: MIT */
/* What every client does before a scenario gets interesting: stream, SASL PLAIN, resource, roster and
 * presence, each answer looked at only as far as to know that it went well. Scenarios about these things use
 * the raw steps instead. */
#include "play.h"

#include "base/base64.h"
#include "base/digest.h"

#include <stdlib.h>

#define NS_OF_STREAMS     "http://etherx.jabber.org/streams"
#define NS_OF_SASL        "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_OF_COMPRESSION "http://jabber.org/protocol/compress"

/* The next element has to be this one. */
static bool took(struct play *play, struct player *player, const char *ns, const char *name, const char *type)
{
    struct tree *tree = player_take(player);
    const char *got = tree ? tree_attr(tree, "type") : NULL;
    bool ok = tree && tree_is(tree, ns, name) && (!type || (got && !strcmp(got, type)));
    if (!ok && !play->rough)
        play_fail(play, "%s expected <%s/> while logging in and got <%s/>", player->name, name,
                  tree ? tree->name : "nothing");
    tree_free(tree);
    return ok;
}

static bool send_header(struct play *play, struct player *player, const char *host)
{
    struct buf out;
    player_expect_header(player);
    buf_init(&out, 1000);
    buf_addf(&out,
             "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
             "xmlns:stream='" NS_OF_STREAMS "'>",
             host);
    player_send(player, buf_str(&out));
    buf_fini(&out);
    return took(play, player, NS_OF_STREAMS, "features", NULL);
}

bool login_open(struct play *play, struct player *player, const char *host)
{
    if (play->rough)
        player_forget(player);
    if (!player_connect(player))
        return play_fail(play, "%s can't connect", player->name);
    return send_header(play, player, host);
}

bool login_compress(struct play *play, struct player *player, const char *host)
{
    player_send(player, STR("<compress xmlns='" NS_OF_COMPRESSION "'><method>zlib</method></compress>"));
    if (!took(play, player, NS_OF_COMPRESSION, "compressed", NULL))
        return false;
    player_compress(player);
    return send_header(play, player, host);
}

bool login_authenticate(struct play *play, struct player *player, str user, str password)
{
    struct buf plain, out;
    str host = user;
    str local = str_cut(&host, '@');
    host = str_cut(&host, '/');
    char *name = str_dup(host);
    if (play->rough)
        player_forget(player);
    buf_init(&plain, 1000);
    buf_add_char(&plain, '\0');
    buf_add(&plain, local);
    buf_add_char(&plain, '\0');
    buf_add(&plain, password);
    buf_init(&out, 4000);
    buf_lit(&out, "<auth xmlns='" NS_OF_SASL "' mechanism='PLAIN'>");
    base64_encode(&out, buf_str(&plain));
    buf_lit(&out, "</auth>");
    player_send(player, buf_str(&out));
    bool ok = took(play, player, NS_OF_SASL, "success", NULL) && send_header(play, player, name) &&
              (!player->wants_zip || login_compress(play, player, name));
    buf_fini(&plain);
    buf_fini(&out);
    free(name);
    return ok;
}

static bool bind_resource(struct play *play, struct player *player, str jid)
{
    struct buf out;
    str resource = jid;
    str_cut(&resource, '/');
    buf_init(&out, 4000);
    buf_lit(&out, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>");
    if (resource.p)
        buf_addf(&out, "<resource>%.*s</resource>", STR_ARGS(resource));
    buf_lit(&out, "</bind></iq>");
    player_send(player, buf_str(&out));
    buf_fini(&out);
    player->bound = took(play, player, "jabber:client", "iq", "result");
    return player->bound;
}

bool login_again(struct play *play, struct player *player)
{
    if (!player->jid)
        return play_fail(play, "%s has no address: write \"%s = user@host/resource\" above", player->name,
                         player->name);
    str jid = str_from(player->jid);
    str host = jid;
    str_cut(&host, '@');
    char *name = str_dup(str_cut(&host, '/'));
    bool ok = login_open(play, player, name) && login_authenticate(play, player, jid, STR("secret"));
    free(name);
    return ok;
}

bool login_connect(struct play *play, struct player *player)
{
    return login_again(play, player) && bind_resource(play, player, str_from(player->jid));
}

bool login_online(struct play *play, struct player *player)
{
    if (!login_connect(play, player))
        return false;
    player_send(player, STR("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"));
    if (!took(play, player, "jabber:client", "iq", "result"))
        return false;
    player_send(player, STR("<presence/>"));
    if (!player->first && !play->rough)
        return play_fail(play, "%s got nothing for its initial presence", player->name);
    player_forget(player);
    return true;
}

bool login_open_component(struct play *play, struct player *player, str domain)
{
    struct buf out;
    if (!player_connect(player))
        return play->rough || play_fail(play, "%s can't connect", player->name);
    player_expect_header(player);
    buf_init(&out, 1000);
    buf_addf(&out,
             "<stream:stream to='%.*s' xmlns='jabber:component:accept' xmlns:stream='" NS_OF_STREAMS "'>",
             STR_ARGS(domain));
    player_send(player, buf_str(&out));
    buf_fini(&out);
    return player->header || play->rough || play_fail(play, "%s got no stream header", player->name);
}

bool login_handshake(struct play *play, struct player *player, str secret)
{
    const char *id = player->header ? tree_attr(player->header, "id") : NULL;
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf out;
    if (!id)
        return play->rough || play_fail(play, "%s has got no stream id", player->name);
    buf_init(&out, 4000);
    buf_addf(&out, "%s%.*s", id, STR_ARGS(secret));
    digest_hash(DIGEST_SHA1, buf_str(&out), hash);
    buf_clear(&out);
    buf_lit(&out, "<handshake>");
    for (size_t i = 0; i < digest_size(DIGEST_SHA1); i++)
        buf_addf(&out, "%02x", hash[i]);
    buf_lit(&out, "</handshake>");
    player_send(player, buf_str(&out));
    buf_fini(&out);
    return true;
}
