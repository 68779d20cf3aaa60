#include "call_sites.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unwind.h>

enum { SITES = 1 << 16 };

int call_site_frames = 64;

typedef struct {
    int kind;
    uint32_t site;
    long first, calls;
} site_record;

/* Where this library begins and where its code ends, by the linker: its own calls are not part of a site. */
extern const char __ehdr_start __attribute__((visibility("hidden")));
extern const char etext __attribute__((visibility("hidden")));

static site_record table[SITES];
static atomic_flag busy = ATOMIC_FLAG_INIT;

typedef struct {
    uint32_t hash;
    int frames;
} walk;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *raw) {
    walk *way = raw;
    const uintptr_t address = _Unwind_GetIP(context);
    if (address >= (uintptr_t)&__ehdr_start && address < (uintptr_t)&etext) return _URC_NO_REASON;
    const uint32_t place = (uint32_t)address & 0xfff;
    way->hash = (way->hash ^ place) * 16777619u; /* FNV-1a, a piece at a time */
    way->hash ^= way->hash >> 15;
    return ++way->frames < call_site_frames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

uint32_t call_site(void) {
    walk way = {.hash = 2166136261u};
    _Unwind_Backtrace(add_frame, &way);
    return way.hash ? way.hash : 1;
}

void call_site_note(int kind, uint32_t site, long number) {
    while (atomic_flag_test_and_set(&busy)) {}
    for (uint32_t probe = 0; probe < SITES; probe++) {
        site_record *record = &table[(site * 31 + (uint32_t)kind + probe) % SITES];
        if (record->calls && (record->site != site || record->kind != kind)) continue;
        if (!record->calls || number < record->first) record->first = number;
        record->kind = kind;
        record->site = site;
        record->calls++;
        break;
    }
    atomic_flag_clear(&busy);
}

void call_site_write(const char *name, const char *(*name_of)(int kind)) {
    FILE *file = fopen(name, "w");
    if (!file) return;
    for (int i = 0; i < SITES; i++)
        if (table[i].calls)
            fprintf(file, "%s %08x %ld %ld\n", name_of(table[i].kind), table[i].site, table[i].first, table[i].calls);
    fclose(file);
}
