/* The control socket of one device: what happens to it at one moment, sent by the line simulator. */
#ifndef SIMTL_CONTROL_H
#define SIMTL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "gentl.h"

enum command_kind {
    COMMAND_LINE1,      /* line1 <0|1> [<nanoseconds>]        the light barrier, and when its edge was */
    COMMAND_INCOMPLETE, /* incomplete <request> <n>           the next n frames arrive incomplete */
    COMMAND_DROPPED,    /* dropped <request> <n>              the next n frames never arrive */
    COMMAND_LATE,       /* late <request> <n> <milliseconds>  the next n frames arrive late */
    COMMAND_PARTS,      /* parts <request> <n>                the next n frames come without their last part */
    COMMAND_COORDINATES, /* coordinates <request> <nm> <nm>   another scale and offset of heights */
    COMMAND_CRASH,      /* crash                              the driver calls abort() */
};

struct command {
    enum command_kind kind;
    uint32_t number; /* level, count of frames, or scale in nm */
    int64_t offset_nm;
    uint32_t delay_ms;
    uint64_t edge_ns; /* CLOCK_MONOTONIC; 0: not given */
    uint32_t request; /* written back to the scene, so that the simulator knows when the fault is armed */
};

struct control {
    int fd; /* -1: no socket, because there is no SIMTL_SCENE */
    int device;
    struct sockaddr_un address;
    ino_t inode;
    bool shut_down;
};

GC_ERROR control_open(struct control *control, int device);

/* Waits for the next valid message; false once control_shutdown was called. */
bool control_receive(const struct control *control, struct command *command);

/* Wakes control_receive for good. */
void control_shutdown(struct control *control);
void control_close(struct control *control);

#endif
