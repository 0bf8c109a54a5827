/* SPDX-License-Identifier: MIT */
/* SCRAM's arithmetic and grammar (RFC 5802 §3, §7), for both ends. Private to the SASL files. */
#ifndef XMPP_SCRAM_H
#define XMPP_SCRAM_H

#include "xmpp/sasl.h"

/* The hash of a SCRAM mechanism, and whether it is a -PLUS form. */
enum digest scram_digest(enum sasl_mechanism mechanism);
bool scram_is_plus(enum sasl_mechanism mechanism);

/* StoredKey and ServerKey of a salted password. */
void scram_derive(enum digest digest, const unsigned char *salted, unsigned char *ret_stored,
                  unsigned char *ret_server);

/* The client's proof: ClientKey XOR HMAC(StoredKey, message). */
void scram_proof(enum digest digest, const unsigned char *salted, str message, unsigned char *ret);

/* Whether a proof is that of the password behind `stored_key`. */
bool scram_proof_ok(enum digest digest, const unsigned char *stored_key, str message, str proof);

/* Value of XEP-0474's attribute "h": base64 of the hash of what was offered. */
str scram_offer_hash(enum digest digest, str mechanisms, str bindings, struct arena *arena);

/* Takes the attribute `name` from the front of `*rest`, with the comma behind it: its value, or str_none when
 * it does not stand there or is empty. When it was the last, `*rest` becomes str_none. */
str scram_take(str *rest, char name);

/* Whether what is left of a message is well-formed extensions (or str_none: nothing): no attribute that RFC
 * 5802 gives a meaning to, so no "m". If `find` is not 0, `*ret_value` is that extension's value or str_none.
 */
bool scram_extensions_ok(str rest, char find, str *ret_value);

/* saslname with its =2C and =3D, and back; str_none for a wrong or empty one. In the arena. */
str scram_name_encode(str name, struct arena *arena);
str scram_name_decode(str text, struct arena *arena);

/* Whether it is a nonce: printable ASCII without commas, 1..1024 bytes. */
bool scram_nonce_ok(str nonce);

/* Whether a whole message is what every SCRAM message is: UTF-8 without NUL. */
bool scram_message_ok(str message);

#endif
