// A PLC's session with the station, through modbus-serial: node modbus_serial_session.js HOST PORT
//
// Does the same as libmodbus_session.c and prints the same lines: what it read. The test compares them with what the
// document promises. Exit code 0: the session went to its end; 1: a request failed, or something did not come.

const ModbusRTU = require("modbus-serial");

const TRIGGER_ENABLE = 0, TRIGGER = 1, RESULTS_ACK = 2, BUFFER_ENABLE = 3, EXECUTE = 4, CLEAR_ERROR = 5, LATCH_PART_ID = 11;
const TRIGGER_READY = 1, TRIGGER_ACK = 2, RESULTS_VALID = 6, PASS = 7, REJECT = 8, OVERRUN = 10, MISSED_TRIGGER = 11,
    COMMAND_COMPLETED = 13, COMMAND_FAILED = 14, PART_ID_ACK = 19, INPUTS = 27;
const FREE_RESULT_SLOTS = 6, ACQUISITION_ID = 8, INSPECTION_ID = 10, PART_ID = 12, RESULT = 14, SCORE = 16,
    INPUT_REGISTERS = 42;
const HEARTBEAT = 0, COMMAND = 1, PLC_PART_ID = 3, MIRROR = 1000;
const FIRST_ID = 100007, SLOTS = 8, WAIT_MS = 10000;

const station = new ModbusRTU();
let beats = 0;

const inputs = async () => (await station.readDiscreteInputs(0, INPUTS)).data.slice(0, INPUTS);
const input = async (address) => Number((await inputs())[address]);
const registers = async () => (await station.readInputRegisters(0, INPUT_REGISTERS)).buffer;
const u16 = (block, address) => block.readUInt16BE(2 * address);
const u32 = (block, address) => block.readUInt32BE(2 * address);

async function set(coil, level) {
    beats += 1;
    await station.writeRegister(HEARTBEAT, beats);
    await station.writeCoil(coil, level === 1);
}

async function until(holds, what) {
    const end = Date.now() + WAIT_MS;
    while (!(await holds())) {
        if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
    }
}

const waitFor = (address, level, what) => until(async () => (await input(address)) === level, what);

async function printInputs(what) {
    const set = (await inputs()).flatMap((level, address) => (level ? [address] : []));
    console.log([what, ...set].join(" "));
}

async function trigger(partId) {
    await station.writeRegisters(PLC_PART_ID, [partId >>> 16, partId & 0xffff]);
    await set(LATCH_PART_ID, 1);
    await waitFor(PART_ID_ACK, 1, "PartIdAck");
    await set(LATCH_PART_ID, 0);
    await waitFor(PART_ID_ACK, 0, "PartIdAck to fall");
    await set(TRIGGER, 1);
    await until(async () => (await input(TRIGGER_ACK)) || (await input(MISSED_TRIGGER)), "TriggerAck or MissedTrigger");
    const acquisition = u32(await registers(), ACQUISITION_ID);
    if (await input(TRIGGER_ACK)) console.log(`trigger ${partId} acknowledged, acquisition ${acquisition}`);
    else console.log(`trigger ${partId} missed, overrun ${await input(OVERRUN)}`);
    await set(TRIGGER, 0);
    await waitFor(TRIGGER_ACK, 0, "TriggerAck to fall");
}

async function takeResult() {
    await waitFor(RESULTS_VALID, 1, "ResultsValid");
    const bits = (await inputs()).map(Number);
    const block = await registers();
    console.log(`result ${u16(block, RESULT)} of part ${u32(block, PART_ID)}, inspection ${u32(block, INSPECTION_ID)}, ` +
        `pass ${bits[PASS]}, reject ${bits[REJECT]}, score ${block.readFloatBE(2 * SCORE).toFixed(2)}`);
    await set(RESULTS_ACK, 1);
    await waitFor(RESULTS_VALID, 0, "ResultsValid to fall");
    await set(RESULTS_ACK, 0);
}

async function command(number) {
    await station.writeRegister(COMMAND, number);
    await set(EXECUTE, 1);
    await until(async () => (await input(COMMAND_COMPLETED)) || (await input(COMMAND_FAILED)), "the command");
    const completed = await input(COMMAND_COMPLETED);
    console.log(`command ${number} ${completed ? "completed" : "failed"}`);
    await set(EXECUTE, 0);
    await waitFor(completed ? COMMAND_COMPLETED : COMMAND_FAILED, 0, "the command's bit to fall");
}

const refusal = (request) => request.then(() => 0, (problem) => problem.modbusCode);

async function session(host, port) {
    station.setTimeout(5000);
    await station.connectTCP(host, { port });
    station.setID(1);

    const mirror = (await station.readHoldingRegisters(MIRROR, 1)).data[0];
    console.log(`map ${u16(await registers(), 0)}, mirrored ${mirror}`);
    await printInputs("inputs");

    await set(BUFFER_ENABLE, 1);
    await set(TRIGGER_ENABLE, 1);
    await waitFor(TRIGGER_READY, 1, "TriggerReady");
    for (let part = 0; part < SLOTS; part++) await trigger(FIRST_ID + part);
    console.log(`free slots ${u16(await registers(), FREE_RESULT_SLOTS)}, ready ${await input(TRIGGER_READY)}`);
    await trigger(FIRST_ID + SLOTS);
    for (let part = 0; part < SLOTS; part++) await takeResult();
    await set(CLEAR_ERROR, 1);
    await waitFor(MISSED_TRIGGER, 0, "MissedTrigger to fall");
    await set(CLEAR_ERROR, 0);
    await printInputs("cleared");
    await trigger(5);
    await takeResult();

    await command(5);
    await command(99);
    const read = await refusal(station.readHoldingRegisters(500, 2));
    const write = await refusal(station.writeRegister(MIRROR, 7));
    console.log(`outside the map: exception ${read}; a write to a mirror: exception ${write}`);
    await set(TRIGGER_ENABLE, 0);
    await waitFor(TRIGGER_READY, 0, "TriggerReady to fall");
    await printInputs("reset");
    await new Promise((resolve) => station.close(resolve));
}

session(process.argv[2], Number(process.argv[3])).catch((problem) => {
    console.error(problem.message || problem);
    process.exit(1);
});
