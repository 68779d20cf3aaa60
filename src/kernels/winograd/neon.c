#define CL_NEON
#include "kernels/winograd/kernel.h"
