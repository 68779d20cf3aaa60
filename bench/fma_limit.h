#ifndef FMA_LIMIT_H
#define FMA_LIMIT_H

/* Operations a second (a multiply-add counts as two) of one core with the instruction set in use. */
double fma_limit(void);

#endif
