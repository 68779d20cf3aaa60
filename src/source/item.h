/* Items that outlive the source's next one. */
#pragma once

#include "base/base.h"

/* Gives the item texts of its own, in one piece of memory that begins with its array of values, or with its name. */
coulis_status cl_item_own_texts(coulis_item *item, int64_t column_count, coulis_error *error);

/* Releases them and clears the item. */
void cl_item_free_texts(coulis_item *item);
