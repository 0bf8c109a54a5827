/* SPDX-License-Identifier: MIT */
/* Stanza errors as they go out. */
#include "xmpp/error.h"

#include "xmpp/test_text.h"

static void texts_are_escaped(void **state)
{
    (void)state;
    struct stanza iq = read_stanza("<iq type='get' id='1' from='a@x/r' to='b@x'><q xmlns='n'/></iq>");
    struct stanza error = stanza_error_reply(&iq, STANZA_ERROR_NOT_ACCEPTABLE, "a<b/>&c", &arena);
    same_text(
        stanza_payload(&error),
        "<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a&lt;b/&gt;&amp;c</text></error>");
    same_text(error.to.full, "a@x/r");
    error = stanza_error_reply(&iq, STANZA_ERROR_CONFLICT, NULL, &arena);
    same_text(stanza_payload(&error),
              "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(texts_are_escaped) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
