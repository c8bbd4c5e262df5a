#include "CLinux.h"
// The header is all; a target needs one source file.
