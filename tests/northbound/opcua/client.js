// A client of OPC UA that is not ours: takes one task a line, replies with one line each. Its events are replies, too,
// as {"event": ...}.
const opcua = require("node-opcua-client");
const { OPCUAClient, MessageSecurityMode, SecurityPolicy, UserTokenType, AttributeIds, NodeClass } = opcua;
const { promoteOpaqueStructure } = require("node-opcua-client-dynamic-extension-object");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
let client, session, subscription, namespaces;
const out = (value) => process.stdout.write(JSON.stringify(value, plain) + "\n");
const plain = (key, value) => {
  if (typeof value === "bigint") return value.toString();
  if (value && value.type === "Buffer") return Buffer.from(value.data).toString("hex");
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
};
const simple = (value) => {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value.toString("hex");
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, simple);
  const kind = value.constructor && value.constructor.name;
  if (kind === "NodeId" || kind === "ExpandedNodeId") return value.toString();
  if (kind === "LocalizedText") return value.text;
  if (kind === "OpaqueStructure") return { opaque: value.nodeId.toString() };
  if (kind === "Variant" && value.arrayType === 0 && value.value && [8, 9].includes(value.dataType))
    return Number((BigInt(value.value[0]) << 32n) | BigInt(value.value[1]));
  if (kind === "Variant") return simple(value.value);
  if (typeof value === "object") {
    const names = value.schema ? value.schema.fields.map((field) => field.name) : Object.keys(value);
    const found = {};
    let schema = value.schema;
    const all = [];
    while (schema && schema.fields) { all.unshift(...schema.fields.map((field) => field.name)); schema = schema._baseSchema; }
    for (const name of all.length ? all : names) if (value[name] !== undefined) found[name[0].toUpperCase() + name.slice(1)] = simple(value[name]);
    return found;
  }
  return value;
};
// Structures in an array of any values, which the library leaves as they came.
const promoted = async (variant) => {
  const inner = variant?.value;
  if (Array.isArray(inner) && inner[0]?.constructor?.name === "Variant")
    await promoteOpaqueStructure(session, inner.map((value) => ({ value })));
};
const id = (path) => `ns=${namespaces.indexOf("urn:edge-inspection-station:vision")};s=${path}`;
const tasks = {
  async connect(t) {
    const manager = new OPCUACertificateManager({ rootFolder: t.folder, automaticallyAcceptUnknownCertificate: true });
    await manager.initialize();
    client = OPCUAClient.create({
      applicationName: "plant", applicationUri: t.uri, clientCertificateManager: manager, endpointMustExist: false,
      certificateFile: t.certificate, privateKeyFile: t.key,
      securityMode: MessageSecurityMode[t.mode || "SignAndEncrypt"],
      securityPolicy: SecurityPolicy[t.policy || "Basic256Sha256"],
      connectionStrategy: { maxRetry: t.retry ?? 0, initialDelay: 100, maxDelay: 500 },
      requestedSessionTimeout: t.session_ms || 30000, keepSessionAlive: true, transportTimeout: 15000,
    });
    client.on("backoff", () => {});
    await client.connect(t.url);
    const user = t.user ? { type: UserTokenType.UserName, userName: t.user, password: t.password } : { type: UserTokenType.Anonymous };
    session = await client.createSession(user);
    namespaces = await session.readNamespaceArray();
    await opcua.getExtraDataTypeManager(session).catch(() => null);
    return { namespaces };
  },
  async endpoints(t) {
    const manager = new OPCUACertificateManager({ rootFolder: t.folder, automaticallyAcceptUnknownCertificate: true });
    await manager.initialize();
    const other = OPCUAClient.create({
      endpointMustExist: false, connectionStrategy: { maxRetry: 0 }, clientCertificateManager: manager,
      certificateFile: t.certificate, privateKeyFile: t.key,
    });
    await other.connect(t.url);
    const found = await other.getEndpoints();
    await other.disconnect();
    return found.map((e) => [e.securityPolicyUri.split("#")[1], MessageSecurityMode[e.securityMode], e.userIdentityTokens.map((u) => UserTokenType[u.tokenType])]);
  },
  async disconnect() { await session.close(true); await client.disconnect(); return true; },
  async read(t) {
    const values = await session.read(t.paths.map((path) => ({ nodeId: id(path), attributeId: AttributeIds.Value })));
    const found = [];
    for (const value of values) {
      await promoted(value.value);
      found.push({ value: simple(value.value), status: value.statusCode.name });
    }
    return found;
  },
  async write(t) {
    const status = await session.write({ nodeId: id(t.path), attributeId: AttributeIds.Value, value: { value: { dataType: "Boolean", value: true } } });
    return status.name;
  },
  async walk(t) {
    const vision = namespaces.indexOf("http://opcfoundation.org/UA/MachineVision");
    const found = {};
    for (const path of t.paths) {
      const names = path.split("/").map((name) => `/${["CurrentState", "Id", "InputArguments", "OutputArguments", "StateNumber", "EnumValues"].includes(name) ? "" : vision + ":"}${name}`);
      const result = await session.translateBrowsePath(opcua.makeBrowsePath(id("VisionSystem"), names.join("")));
      if (result.statusCode.name !== "Good") { found[path] = result.statusCode.name; continue; }
      const value = await session.read({ nodeId: result.targets[0].targetId, attributeId: AttributeIds.NodeClass });
      found[path] = NodeClass[value.value.value];
    }
    return found;
  },
  async describe(t) {
    const value = await session.read([
      { nodeId: t.node, attributeId: AttributeIds.BrowseName }, { nodeId: t.node, attributeId: AttributeIds.NodeClass },
    ]);
    return [value[0].value.value?.name, NodeClass[value[1].value.value]];
  },
  async types(t) {
    const vision = namespaces.indexOf("http://opcfoundation.org/UA/MachineVision");
    const values = await session.read(t.ids.map((one) => ({ nodeId: `ns=${vision};i=${one}`, attributeId: AttributeIds.BrowseName })));
    return values.map((value) => value.value.value?.name ?? null);
  },
  async call(t) {
    const vision = namespaces.indexOf("http://opcfoundation.org/UA/MachineVision");
    const args = [];
    for (const [type, value] of t.arguments) {
      if (/^[0-9]+$/.test(type) && typeof value === "object") {
        const made = await session.constructExtensionObject(opcua.resolveNodeId(`ns=${vision};i=${type}`), value);
        args.push({ dataType: "ExtensionObject", value: made });
      } else if (Array.isArray(value)) args.push({ dataType: type, arrayType: "Array", value });
      else args.push({ dataType: type, value });
    }
    const object = t.path.slice(0, t.path.lastIndexOf("/"));
    const result = await session.call({ objectId: id(object), methodId: id(t.path), inputArguments: args });
    return { status: result.statusCode.name, outputs: (result.outputArguments || []).map(simple) };
  },
  async subscribe(t) {
    subscription = opcua.ClientSubscription.create(session, {
      requestedPublishingInterval: t.interval || 100, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 10,
      maxNotificationsPerPublish: 1000, publishingEnabled: true, priority: 1,
    });
    await new Promise((resolve) => subscription.once("started", resolve));
    const filter = opcua.constructEventFilter(t.fields);
    const node = t.path === "Server" ? "i=2253" : id(t.path || "VisionSystem");
    const item = opcua.ClientMonitoredItem.create(subscription, { nodeId: node, attributeId: AttributeIds.EventNotifier },
      { filter, queueSize: t.queue ?? 10, discardOldest: true, samplingInterval: 0 }, opcua.TimestampsToReturn.Neither);
    await new Promise((resolve, reject) => { item.once("initialized", resolve); item.once("err", (why) => reject(new Error(why))); });
    let before = Promise.resolve();
    item.on("changed", (fields) => {
      before = before.then(() => heard(fields));
    });
    const heard = async (fields) => {
      for (const field of fields) await promoted(field);
      out({ event: Object.fromEntries(t.fields.map((name, i) => [name, simple(fields[i])])) });
    };
    return subscription.subscriptionId;
  },
  async refresh() {
    const result = await session.call({ objectId: "i=2782", methodId: "i=3875", inputArguments: [{ dataType: "UInt32", value: subscription.subscriptionId }] });
    return result.statusCode.name;
  },
};
let chain = Promise.resolve();
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  chain = chain.then(async () => {
    const task = JSON.parse(line);
    try {
      out({ reply: await tasks[task.do](task) });
    } catch (problem) {
      out({ error: String(problem.message || problem) });
      if (task.do === "connect" && client) await client.disconnect().catch(() => null);
    }
  });
}).on("close", () => process.exit(0));
