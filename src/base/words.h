/* The words of options and their numbers; coulis_option_word and its inverse are in coulis.h. */
#pragma once

#include "base/base.h"

/* COULIS_INVALID_ARGUMENT with a sentence when `number` has no word among those of `option`. */
coulis_status cl_check_option(const char *option, int32_t number, coulis_error *error);
