#include "pca/kernels/kernel.h"
