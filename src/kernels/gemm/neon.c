#define CL_NEON
#include "kernels/gemm/kernel.h"
