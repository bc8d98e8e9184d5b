/* Handles, and the state of the whole producer. */
#ifndef SIMTL_LIBRARY_H
#define SIMTL_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>

#include "answer.h"

#define DEVICES_MAX 8
#define TL_TYPE "Custom"
#define INTERFACE_ID "SIMTL_INTERFACE"

/* ---- handles ---------------------------------------------------------------------------------------------------- */

enum handle_kind {
    HANDLE_DEVICE,
    HANDLE_REMOTE_DEVICE,
    HANDLE_STREAM,
    HANDLE_EVENT,
    DEVICE_HANDLES, /* those above are found in `struct device` */
    HANDLE_BUFFER,
    HANDLE_SYSTEM,
    HANDLE_INTERFACE,
    HANDLE_NONE,
};

/* A handle that was never given out before; it is a number, no address. */
HANDLE handle_new(enum handle_kind kind, int device, unsigned slot);
enum handle_kind handle_kind(HANDLE handle);
unsigned handle_device(HANDLE handle);
unsigned handle_slot(HANDLE handle);

/* ---- library ---------------------------------------------------------------------------------------------------- */

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

#endif
