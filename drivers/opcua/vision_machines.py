"""The state machines of OPC 40100-1, Part 1, 8.2 and 8.3: states, transitions, what causes them and what they raise.

Facts alone, checked against the Foundation's own nodeset by the tests. The step model is left out: it is optional, and
a station has no steps that a client could wait for.
"""

from __future__ import annotations

from drivers.opcua.facts import types_of

_TABLE = """
ObjectType 1017 VisionStateMachineType 0:2771
  State 5028 Preoperational 1 6226 -
  State 5029 Halted 2 6227 -
  State 5030 Error 3 6228 -
  State 5031 Operational 4 6229 -
  Transition 5033 PreoperationalToHaltedAuto 120 6231 5028 5029 - 1018
  Transition 5032 PreoperationalToHalted 121 6230 5028 5029 7094 1018
  Transition 5034 PreoperationalToErrorAuto 130 6232 5028 5030 - 1018 1019
  Transition 5254 PreoperationalToOperationalAuto 140 6221 5028 5031 - 1018
  Transition 5253 PreoperationalToOperational 141 6171 5028 5031 7095 1018
  Transition 5036 PreoperationalToInitializedAuto 150 6234 5028 5056 - 1018
  Transition 5035 PreoperationalToInitialized 151 6233 5028 5056 7095 1018
  Transition 5038 HaltedToPreoperationalAuto 210 6236 5029 5028 - 1018
  Transition 5037 HaltedToPreoperational 211 6235 5029 5028 7093 1018
  Transition 5040 ErrorToPreoperationalAuto 310 6238 5030 5028 - 1018
  Transition 5039 ErrorToPreoperational 311 6237 5030 5028 7093 1018
  Transition 5042 ErrorToHaltedAuto 320 6240 5030 5029 - 1018
  Transition 5041 ErrorToHalted 321 6239 5030 5029 7094 1018
  Transition 5255 ErrorToOperationalAuto 340 6341 5030 5031 - 1018 1020
  Transition 5048 OperationalToPreoperationalAuto 410 6246 5031 5028 - 1018
  Transition 5047 OperationalToPreoperational 411 6245 5031 5028 7093 1018
  Transition 5050 OperationalToHaltedAuto 420 6248 5031 5029 - 1018
  Transition 5049 OperationalToHalted 421 6247 5031 5029 7094 1018
  Transition 5051 OperationalToErrorAuto 430 6249 5031 5030 - 1018
  Method 7066 ConfirmAll O 6241 -
  Method 7094 Halt M 6254 6255
  Method 7093 Reset M 6256 6257
  Method 7095 SelectModeAutomatic O - 6258
  Object 5024 AutomaticModeStateMachine O 1021
ObjectType 1021 VisionAutomaticModeStateMachineType 0:2771
  State 5056 Initialized 5 6259 -
  State 5057 Ready 6 6260 -
  State 5058 SingleExecution 7 6261 -
  State 5059 ContinuousExecution 8 6262 -
  Transition 5061 InitializedToReadyAuto 560 6264 5056 5057 - 1018
  Transition 5060 InitializedToReadyRecipe 561 6263 5056 5057 7015 1018 1022
  Transition 5045 InitializedToReadyProduct 562 6084 5056 5057 7060 1018 1022
  Transition 5063 ReadyToInitializedAuto 650 6266 5057 5056 - 1018
  Transition 5062 ReadyToInitializedRecipe 651 6265 5057 5056 7055 1018
  Transition 5044 ReadyToInitializedProduct 652 6243 5057 5056 7059 1018
  Transition 5065 ReadyToSingleExecutionAuto 670 6268 5057 5058 - 1013 1018
  Transition 5064 ReadyToSingleExecution 671 6267 5057 5058 7098 1013 1018
  Transition 5067 ReadyToContinuousExecutionAuto 680 6270 5057 5059 - 1013 1018
  Transition 5066 ReadyToContinuousExecution 681 6269 5057 5059 7009 1013 1018
  Transition 5070 SingleExecutionToReadyAuto 760 6273 5058 5057 - 1018 1023
  Transition 5068 SingleExecutionToReadyStop 761 6271 5058 5057 7096 1018 1023
  Transition 5069 SingleExecutionToReadyAbort 762 6272 5058 5057 7097 1018 1023
  Transition 5073 ContinuousExecutionToReadyAuto 860 6276 5059 5057 - 1018 1023
  Transition 5071 ContinuousExecutionToReadyStop 861 6274 5059 5057 7096 1018 1023
  Transition 5072 ContinuousExecutionToReadyAbort 862 6275 5059 5057 7097 1018 1023
  Method 7097 Abort M 6285 6286
  Method 7100 SimulationMode O 6289 6290
  Method 7009 StartContinuous M 6086 6087
  Method 7098 StartSingleJob M 6281 6282
  Method 7096 Stop M 6287 6288
"""

STATE_MACHINE, AUTOMATIC_MODE = types_of(_TABLE)
