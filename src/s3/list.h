/* Objects below an address, page by page. */
#pragma once

#include "s3/state.h"

coulis_status cl_s3_list(cl_s3_state *state, const char *address, int64_t limit,
                         coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error),
                         void *context, coulis_error *error);
