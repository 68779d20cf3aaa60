/* The files of a report's page, held in the library. */
#pragma once

#include "base/base.h"

typedef struct cl_asset {
    const char *bytes; /* NULL for none */
    size_t size;
} cl_asset;

/* "PAGE", or what page.html names as @@NAME@@. None in a library that was built without Leaflet. */
cl_asset cl_report_part(const char *name, size_t length);
