#define CL_NEON
#include "pca/kernels/kernel.h"
