#define CL_NEON
#include "kernels/activation/kernel.h"
