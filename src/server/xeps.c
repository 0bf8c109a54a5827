/* SPDX-License-Identifier: MIT */
/* The specifications that the server's own parts implement; those of extensions stand in their descriptors.
 */
#include "server/xeps.h"

const struct ext_xep server_xeps[] = {
    { 4, "2.13.2" },        /* xmpp/form.c */
    { 68, "1.3.0" },        /* xmpp/form.c */
    { 82, "1.1.1" },        /* xmpp/stamp.c */
    { 114, "1.6" },         /* component.c */
    { 138, "2.1" },         /* c2s_compress.c, net/zip_layer.c */
    { 160, "1.0.1" },       /* user_offline.c */
    { 170, "1.0" },         /* c2s_features.c */
    { 178, "1.2" },         /* s2s_cert.c, xmpp/sasl_server.c */
    { 203, "2.0" },         /* user_catchup.c */
    { 220, "1.1.1" },       /* s2s_dialback.c */
    { 237, "1.3" },         /* user_roster.c */
    { 288, "1.0.1" },       /* s2s_in.c */
    { 334, "1.0.0" },       /* xmpp/hint.c */
    { 368, "1.1.0" },       /* c2s.c */
    { 386, "1.1.0", true }, /* c2s_sasl2_home.c */
    { 388, "1.0.4" },       /* c2s_sasl2.c */
    { 440, "1.0.0" },       /* c2s_features.c */
    { 474, "0.5.0" },       /* xmpp/scram.c */
    { 478, "0.2.0" },       /* c2s_features.c */
    { 480, "0.2.0" },       /* c2s_sasl2.c */
    { 484, "0.2.0" },       /* fast.c, c2s_fast.c */
    { 0 },
};
