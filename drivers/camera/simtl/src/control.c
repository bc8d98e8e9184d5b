#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "answer.h"

#define DELAY_MAX_MS 60000
#define FRAMES_MAX 1000000

GC_ERROR control_open(struct control *control, int device)
{
    *control = (struct control){.fd = -1, .device = device, .address.sun_family = AF_UNIX};
    const char *prefix = getenv("SIMTL_SCENE");
    if (!prefix)
        return GC_ERR_SUCCESS;

    char *path = control->address.sun_path;
    size_t room = sizeof control->address.sun_path;
    if (snprintf(path, room, "%s.%d.sock", prefix, device) >= (int)room)
        return failed(GC_ERR_INVALID_PARAMETER, "control socket \"%s...\": longer than the %zu bytes of a Unix socket",
                      path, room - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(GC_ERR_IO, "control socket: %s", strerror(errno));
    unlink(path); /* of a process that was killed: the scene's lock says that nobody else is alive */
    struct stat status;
    if (bind(fd, (struct sockaddr *)&control->address, sizeof control->address) != 0 || stat(path, &status) != 0) {
        GC_ERROR error = failed(GC_ERR_IO, "control socket \"%s\": %s", path, strerror(errno));
        close(fd);
        return error;
    }
    control->fd = fd;
    control->inode = status.st_ino;
    return GC_ERR_SUCCESS;
}

static bool parse(const char *text, struct command *command)
{
    char rest;
    *command = (struct command){0};
    if (sscanf(text, "line1 %u%c", &command->number, &rest) == 1 ||
        sscanf(text, "line1 %u %" SCNu64 "%c", &command->number, &command->edge_ns, &rest) == 2)
        command->kind = COMMAND_LINE1;
    else if (sscanf(text, "incomplete %u %u%c", &command->request, &command->number, &rest) == 2)
        command->kind = COMMAND_INCOMPLETE;
    else if (sscanf(text, "dropped %u %u%c", &command->request, &command->number, &rest) == 2)
        command->kind = COMMAND_DROPPED;
    else if (sscanf(text, "late %u %u %u%c", &command->request, &command->number, &command->delay_ms, &rest) == 3)
        command->kind = COMMAND_LATE;
    else if (sscanf(text, "parts %u %u%c", &command->request, &command->number, &rest) == 2)
        command->kind = COMMAND_PARTS;
    else if (sscanf(text, "coordinates %u %u %" SCNd64 "%c", &command->request, &command->number, &command->offset_nm,
                    &rest) == 3)
        command->kind = COMMAND_COORDINATES;
    else if (strcmp(text, "crash") == 0)
        command->kind = COMMAND_CRASH;
    else
        return false;
    if (command->kind == COMMAND_COORDINATES)
        return command->number > 0;
    return command->delay_ms <= DELAY_MAX_MS && command->number <= (command->kind == COMMAND_LINE1 ? 1 : FRAMES_MAX);
}

bool control_receive(const struct control *control, struct command *command)
{
    char text[64];
    for (;;) {
        ssize_t size = recv(control->fd, text, sizeof text - 1, 0);
        if (__atomic_load_n(&control->shut_down, __ATOMIC_ACQUIRE))
            return false;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            fprintf(stderr, "simtl: device %d: control socket: %s\n", control->device, strerror(errno));
            return false;
        }
        text[size] = '\0';
        if (parse(text, command))
            return true;
        fprintf(stderr, "simtl: device %d ignores the control message \"%s\"\n", control->device, text);
    }
}

void control_shutdown(struct control *control)
{
    __atomic_store_n(&control->shut_down, true, __ATOMIC_RELEASE);
    shutdown(control->fd, SHUT_RDWR);
}

void control_close(struct control *control)
{
    struct stat status;
    close(control->fd);
    control->fd = -1;
    /* The scene may have been replaced and opened by another process: its socket is not ours to remove. */
    if (stat(control->address.sun_path, &status) == 0 && status.st_ino == control->inode)
        unlink(control->address.sun_path);
}
