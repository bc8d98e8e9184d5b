/* A PLC's session with the station, through libmodbus: libmodbus_session HOST PORT

   Does the same as modbus_serial_session.js and prints the same lines: what it read. The test compares them with what the
   document promises. Exit code 0: the session went to its end; 1: a request failed, or something did not come. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum coil { TRIGGER_ENABLE, TRIGGER, RESULTS_ACK, BUFFER_ENABLE, EXECUTE, CLEAR_ERROR, LATCH_PART_ID = 11 };
enum input {
    ONLINE, TRIGGER_READY, TRIGGER_ACK, RESULTS_VALID = 6, PASS, REJECT, OVERRUN = 10, MISSED_TRIGGER,
    COMMAND_COMPLETED = 13, COMMAND_FAILED, PART_ID_ACK = 19, INPUTS = 27
};
enum input_register {
    FREE_RESULT_SLOTS = 6, ACQUISITION_ID = 8, INSPECTION_ID = 10, PART_ID = 12, RESULT = 14, SCORE = 16,
    INPUT_REGISTERS = 42
};
enum holding_register { HEARTBEAT, COMMAND, PLC_PART_ID = 3, MIRROR = 1000 };

#define FIRST_ID 100007
#define SLOTS 8
#define WAIT_S 10

static modbus_t *station;
static uint16_t beats;

static void require(int is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

static void read_inputs(uint8_t *bits)
{
    require(modbus_read_input_bits(station, 0, INPUTS, bits) == INPUTS, "read discrete inputs");
}

static int input(int address)
{
    uint8_t bits[INPUTS];
    read_inputs(bits);
    return bits[address];
}

static void read_registers(uint16_t *values)
{
    require(modbus_read_input_registers(station, 0, INPUT_REGISTERS, values) == INPUT_REGISTERS, "read input registers");
}

static uint32_t u32(const uint16_t *values, int address)
{
    return (uint32_t)values[address] << 16 | values[address + 1];
}

static void set(int coil, int level)
{
    require(modbus_write_register(station, HEARTBEAT, ++beats) == 1, "write PlcHeartbeat");
    require(modbus_write_bit(station, coil, level) == 1, "write coil");
}

static void wait_for(int address, int level, const char *what)
{
    time_t end = time(NULL) + WAIT_S;
    while (input(address) != level) {
        errno = ETIMEDOUT;
        require(time(NULL) < end, what);
        usleep(2000);
    }
}

static void print_inputs(const char *what)
{
    uint8_t bits[INPUTS];
    read_inputs(bits);
    printf("%s", what);
    for (int address = 0; address < INPUTS; address++)
        if (bits[address])
            printf(" %d", address);
    printf("\n");
}

static void trigger(uint32_t part_id)
{
    uint16_t values[INPUT_REGISTERS], id[2] = {(uint16_t)(part_id >> 16), (uint16_t)part_id};
    require(modbus_write_registers(station, PLC_PART_ID, 2, id) == 2, "write PartId");
    set(LATCH_PART_ID, 1);
    wait_for(PART_ID_ACK, 1, "PartIdAck");
    set(LATCH_PART_ID, 0);
    wait_for(PART_ID_ACK, 0, "PartIdAck to fall");
    set(TRIGGER, 1);
    time_t end = time(NULL) + WAIT_S;
    while (!input(TRIGGER_ACK) && !input(MISSED_TRIGGER)) {
        errno = ETIMEDOUT;
        require(time(NULL) < end, "TriggerAck or MissedTrigger");
        usleep(2000);
    }
    read_registers(values);
    if (input(TRIGGER_ACK))
        printf("trigger %u acknowledged, acquisition %u\n", part_id, u32(values, ACQUISITION_ID));
    else
        printf("trigger %u missed, overrun %d\n", part_id, input(OVERRUN));
    set(TRIGGER, 0);
    wait_for(TRIGGER_ACK, 0, "TriggerAck to fall");
}

static void take_result(void)
{
    uint16_t values[INPUT_REGISTERS];
    uint8_t bits[INPUTS];
    wait_for(RESULTS_VALID, 1, "ResultsValid");
    read_inputs(bits);
    read_registers(values);
    printf("result %u of part %u, inspection %u, pass %d, reject %d, score %.2f\n", values[RESULT],
           u32(values, PART_ID), u32(values, INSPECTION_ID), bits[PASS], bits[REJECT],
           modbus_get_float_abcd(values + SCORE));
    set(RESULTS_ACK, 1);
    wait_for(RESULTS_VALID, 0, "ResultsValid to fall");
    set(RESULTS_ACK, 0);
}

static void command(int number)
{
    require(modbus_write_register(station, COMMAND, (uint16_t)number) == 1, "write Command");
    set(EXECUTE, 1);
    time_t end = time(NULL) + WAIT_S;
    while (!input(COMMAND_COMPLETED) && !input(COMMAND_FAILED)) {
        errno = ETIMEDOUT;
        require(time(NULL) < end, "CommandCompleted or CommandFailed");
        usleep(2000);
    }
    int is_completed = input(COMMAND_COMPLETED);
    printf("command %d %s\n", number, is_completed ? "completed" : "failed");
    set(EXECUTE, 0);
    wait_for(is_completed ? COMMAND_COMPLETED : COMMAND_FAILED, 0, "the command's bit to fall");
}

static void print_refusals(void)
{
    uint16_t values[2];
    int refused_read = modbus_read_registers(station, 500, 2, values) < 0 ? errno - MODBUS_ENOBASE : 0;
    int refused_write = modbus_write_register(station, MIRROR, 7) < 0 ? errno - MODBUS_ENOBASE : 0;
    printf("outside the map: exception %d; a write to a mirror: exception %d\n", refused_read, refused_write);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", arguments[0]);
        return 2;
    }
    station = modbus_new_tcp(arguments[1], atoi(arguments[2]));
    require(station && modbus_set_slave(station, 1) == 0 && modbus_connect(station) == 0, "connect");
    setvbuf(stdout, NULL, _IOLBF, 0);

    uint16_t values[INPUT_REGISTERS], mirror;
    read_registers(values);
    require(modbus_read_registers(station, MIRROR, 1, &mirror) == 1, "read the mirror");
    printf("map %u, mirrored %u\n", values[0], mirror);
    print_inputs("inputs");

    set(BUFFER_ENABLE, 1);
    set(TRIGGER_ENABLE, 1);
    wait_for(TRIGGER_READY, 1, "TriggerReady");
    for (uint32_t part = 0; part < SLOTS; part++)
        trigger(FIRST_ID + part);
    read_registers(values);
    printf("free slots %u, ready %d\n", values[FREE_RESULT_SLOTS], input(TRIGGER_READY));
    trigger(FIRST_ID + SLOTS);
    for (int part = 0; part < SLOTS; part++)
        take_result();
    set(CLEAR_ERROR, 1);
    wait_for(MISSED_TRIGGER, 0, "MissedTrigger to fall");
    set(CLEAR_ERROR, 0);
    print_inputs("cleared");
    trigger(5);
    take_result();

    command(5);
    command(99);
    print_refusals();
    set(TRIGGER_ENABLE, 0);
    wait_for(TRIGGER_READY, 0, "TriggerReady to fall");
    print_inputs("reset");
    modbus_close(station);
    modbus_free(station);
    return 0;
}
