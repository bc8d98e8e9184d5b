/* Wrong answers about buffers, for tests of those who ask: what some producer or camera may say. */
#ifndef SIMTL_LIES_H
#define SIMTL_LIES_H

#include "answer.h"

/* Maps the file SIMTL_LIES, if that is set; README.md has its layout. No device may be open. */
void lies_open(void);

/* What is said of a buffer in place of `truth`, which was answered into `to`. */
GC_ERROR lies_tell(int32_t command, GC_ERROR truth, struct answer to);

#endif
