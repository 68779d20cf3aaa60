#define CL_NEON
#include "kernels/softmax/kernel.h"
