#define CL_NEON
#include "kernels/elementwise/kernel.h"
