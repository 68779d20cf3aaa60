#define CL_NEON
#include "kernels/depthwise/kernel.h"
