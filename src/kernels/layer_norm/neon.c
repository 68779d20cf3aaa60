#define CL_NEON
#include "kernels/layer_norm/kernel.h"
