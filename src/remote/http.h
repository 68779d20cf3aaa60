/* Reading from http:// and https:// by libcurl. */
#pragma once

#include "remote/fetch.h"

typedef struct cl_http cl_http;

/* `stop` must outlive it. COULIS_IO when libcurl is not installed. */
coulis_status cl_http_create(cl_stop *stop, cl_http **http, coulis_error *error);
void cl_http_free(cl_http *http);

/* Reads what fetch->name stands for; by any number of threads at a time. What belongs to the image is one of the
 * statuses 1 to 5; what belongs to the network or to a server that was there before is COULIS_IO; COULIS_INTERRUPTED
 * when `stop` was set. */
coulis_status cl_http_get(cl_http *http, cl_fetch *fetch, coulis_error *error);
