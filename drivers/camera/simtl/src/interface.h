/* What the producer itself (system.c) needs of its one interface. */
#ifndef SIMTL_INTERFACE_H
#define SIMTL_INTERFACE_H

#include "answer.h"

/* Closes the interface and all devices. Called with the lock of the library. */
void interface_close(void);
GC_ERROR interface_info(int32_t command, struct answer to);

#endif
