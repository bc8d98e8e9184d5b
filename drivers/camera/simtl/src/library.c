/* The handles, and the library with its lock. Calls nothing but answer.c, so every other file may call it. */
#include "library.h"

/* ---- handles ---------------------------------------------------------------------------------------------------- */

/* kind (8 bits) | device (8) | slot (16) | serial number (32). The kind counts from 1, so that no handle is NULL. */
_Static_assert(sizeof(HANDLE) == 8, "handles hold 64 bits");

HANDLE handle_new(enum handle_kind kind, int device, unsigned slot)
{
    static uint32_t last_serial;
    uint32_t serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    return (HANDLE)(((uintptr_t)kind + 1) << 56 | (uintptr_t)device << 48 | (uintptr_t)slot << 32 | serial);
}

enum handle_kind handle_kind(HANDLE handle)
{
    uintptr_t kind = (uintptr_t)handle >> 56;
    return kind >= 1 && kind <= HANDLE_NONE ? (enum handle_kind)(kind - 1) : HANDLE_NONE;
}

unsigned handle_device(HANDLE handle) { return (uintptr_t)handle >> 48 & 0xff; }

unsigned handle_slot(HANDLE handle) { return (uintptr_t)handle >> 32 & 0xffff; }

/* ---- library ---------------------------------------------------------------------------------------------------- */

struct library library = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool library_is_initialised(void) { return __atomic_load_n(&library.is_initialised, __ATOMIC_ACQUIRE); }

bool library_lock(HANDLE handle, enum handle_kind kind)
{
    if (!library_is_initialised()) {
        failed(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
        return false;
    }
    pthread_mutex_lock(&library.lock);
    if (handle && handle == (kind == HANDLE_SYSTEM ? library.system : library.interface))
        return true;
    pthread_mutex_unlock(&library.lock);
    failed(GC_ERR_INVALID_HANDLE, "handle %p is none of this producer, of another kind, or was closed", handle);
    return false;
}

void library_unlock(void) { pthread_mutex_unlock(&library.lock); }

bool library_knows(HANDLE handle)
{
    pthread_mutex_lock(&library.lock);
    bool is_known = handle && (handle == library.system || handle == library.interface);
    library_unlock();
    return is_known;
}
