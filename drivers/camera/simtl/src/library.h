/* State of the whole producer. */
#ifndef SIMTL_LIBRARY_H
#define SIMTL_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>

#include "answer.h"
#include "device.h"

#define TL_TYPE "Custom"
#define INTERFACE_ID "SIMTL_INTERFACE"

/* Guarded by its lock, which is taken before that of a device. */
struct library {
    pthread_mutex_t lock;
    bool is_initialised;
    HANDLE system;
    HANDLE interface;
    int device_count;        /* SIMTL_DEVICES */
    int listed[DEVICES_MAX]; /* devices that IFUpdateDeviceList found */
    uint32_t listed_count;
};

extern struct library library;

bool library_is_initialised(void);

/* Locks the library when `handle` is the open handle of this kind; otherwise false, with the error kept. */
bool library_lock(HANDLE handle, enum handle_kind kind);
void library_unlock(void);

/* Whether this is the open handle of the producer itself or of its interface. Called without the lock. */
bool library_knows(HANDLE handle);

/* Closes the interface and all devices. Called with the lock. */
void library_close_interface(void);
GC_ERROR library_interface_info(int32_t command, struct answer to);

#endif
