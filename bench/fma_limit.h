#pragma once

/* Operations a second (a multiply-add counts as two) of one core with the instruction set in use. */
double fma_limit(void);
