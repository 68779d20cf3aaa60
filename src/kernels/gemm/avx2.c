#include "kernels/gemm/kernel.h"
