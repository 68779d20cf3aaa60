#include "kernels/softmax/kernel.h"
