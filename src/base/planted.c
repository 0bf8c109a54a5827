/* SPDX-License-Identifier: MIT */
/* The one switch of the bugs that are planted for the simulation: see planted.h. Nothing at all in builds
 * that are not made for tests. */
#include "base/planted.h"

#if PLANTED_BUGS
enum planted planted_now;
#endif
