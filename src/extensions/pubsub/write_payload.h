/* SPDX-License-Identifier: MIT */
/* An element that is to stand alone, for extensions that keep what was sent to them. */
#ifndef EXTENSIONS_PUBSUB_WRITE_PAYLOAD_H
#define EXTENSIONS_PUBSUB_WRITE_PAYLOAD_H

#include "base/buf.h"
#include "xml/node.h"

/* Appends an element with every declaration that it needs, so that it means the same elsewhere. */
void pubsub_write_payload(struct buf *xml, const struct xml_node *payload, struct arena *arena);

#endif
