/* Call sites: where in a program a call is made, by way of which others. */
#pragma once

#include <stdint.h>

/* How many of the calls on the stack tell one site from another, from the innermost on. */
extern int call_site_frames;

/* The way by which this place was reached: a hash of the return addresses on the stack, never 0. Of each address only
 * its place within a page counts, which is the same in every run wherever the libraries are loaded. Safe in a signal's
 * handler. */
uint32_t call_site(void);

/* Notes that the `number`-th call of a kind was made at `site`. */
void call_site_note(int kind, uint32_t site, long number);

/* Writes "KIND SITE FIRST CALLS" of each site to a file: the number of its first call, and how many there were. */
void call_site_write(const char *file, const char *(*name_of)(int kind));
