"""The other types of OPC 40100-1, Part 1, that a station has: system, recipes, results, events, conditions.

Facts alone, checked against the Foundation's own nodeset by the tests. Left out, and so said by `IsNamespaceSubset`:
the transfer of files, products, the step model, and the state of safety (a station is no safety device).
"""

from __future__ import annotations

from drivers.opcua.facts import Type, types_of
from drivers.opcua.vision_machines import AUTOMATIC_MODE, STATE_MACHINE

_TABLE = """
ObjectType 1003 VisionSystemType 0:58
  Object 5004 ConfigurationManagement O 1006
  Object 5015 RecipeManagement O 1004
  Object 5020 ResultManagement O 1007
  Object 5053 VisionStateMachine M 1017
  Variable 6048 DiagnosticLevel O 0:5
  Variable 6049 SystemState O 3024
ObjectType 1004 RecipeManagementType 0:58
  Method 7013 AddRecipe O 6144 6145
  Method 7014 GetRecipeListFiltered M 6156 6157
  Method 7060 PrepareProduct O 6172 6173
  Method 7015 PrepareRecipe M 6148 6149
  Method 7056 ReleaseRecipeHandle O 6160 6161
  Method 7057 RemoveRecipe O 6164 6165
  Method 7061 UnlinkProduct O 6180 6181
  Method 7059 UnprepareProduct O 6176 6177
  Method 7055 UnprepareRecipe M 6152 6153
  Object 5005 Recipes O 1008
ObjectType 1002 RecipeType 0:58
  Method 7062 LinkProduct O 6190 6191
  Method 7064 Prepare M - 6202
  Method 7063 UnlinkProduct O 6196 6197
  Method 7065 Unprepare M - 6205
  Property 6023 ExternalId O 3002
  Property 6019 InternalId M 3013
  Property 6605 IsPrepared M 0:1
  Property 6017 LastModified M 0:294
  Property 6018 LinkedProducts O 3003[]
ObjectType 1008 RecipeFolderType 0:61
  Object 5270 <Recipe> P 1002
ObjectType 1007 ResultManagementType 0:58
  Method 7026 GetResultById M 6209 6210
  Method 7007 GetResultComponentsById M 6024 6025
  Method 7089 GetResultListFiltered M 6213 6214
  Method 7090 ReleaseResultHandle O 6217 6218
  Object 5245 Results O 1016
ObjectType 1016 ResultFolderType 0:61
  Variable 6168 <ResultVariable> P 3006 2002
VariableType 2002 ResultType 0:63 3006
  Variable 6331 CreationTime M 0:294
  Variable 6328 ExternalConfigurationId O 3008
  Variable 6095 ExternalRecipeId O 3002
  Variable 6047 HasTransferableDataOnFile O 0:1
  Variable 6329 InternalConfigurationId M 3008
  Variable 6284 InternalRecipeId M 3013
  Variable 6052 IsPartial M 0:1
  Variable 6053 IsSimulated O 0:1
  Variable 6330 JobId M 3016
  Variable 6055 MeasId O 3015
  Variable 6094 PartId O 3004
  Variable 6332 ProcessingTimes O 3005
  Variable 6327 ProductId O 3003
  Variable 6333 ResultContent O 0:24[]
  Variable 6046 ResultId M 3021
  Variable 6054 ResultState M 3009
ObjectType 1006 ConfigurationManagementType 0:58
  Method 7048 ActivateConfiguration M 6116 6117
  Method 7025 AddConfiguration O 6096 6097
  Method 7041 GetConfigurationById M 6100 6101
  Method 7045 GetConfigurationList M 6104 6105
  Method 7046 ReleaseConfigurationHandle O 6108 6109
  Method 7047 RemoveConfiguration O 6112 6113
  Object 5010 Configurations O 1011
  Variable 6132 ActiveConfiguration M 3007
ObjectType 1011 ConfigurationFolderType 0:61
  Variable 6120 <Configuration> P 3007
"""
_EVENTS = """
ObjectType 1018 StateChangedEventType 0:2311
ObjectType 1019 ErrorEventType 0:2311
ObjectType 1020 ErrorResolvedEventType 0:2311
ObjectType 1013 JobStartedEventType 0:2041
  Property 6141 JobId M 3016
ObjectType 1022 RecipePreparedEventType 0:2041
  Property 6291 ExternalId O 3002
  Property 6140 InternalId M 3013
  Property 6292 ProductId O 3003
ObjectType 1023 ReadyEventType 0:2041
  Property 6294 JobId M 3016
ObjectType 1024 ResultReadyEventType 0:2041
  Property 6303 CreationTime M 0:294
  Property 6045 ExternalConfigurationId O 3008
  Property 6301 ExternalRecipeId O 3002
  Property 6142 InternalConfigurationId M 3008
  Property 6302 InternalRecipeId M 3013
  Property 6296 IsPartial M 0:1
  Property 6297 IsSimulated O 0:1
  Property 6300 JobId M 3016
  Property 6299 MeasId O 3015
  Property 6304 PartId O 3004
  Property 6305 ProcessingTimes O 3005
  Property 6143 ProductId O 3003
  Property 6306 ResultContent O 0:24[]
  Property 6295 ResultId M 3021
  Property 6298 ResultState M 3009
ObjectType 1025 AcquisitionDoneEventType 0:2041
  Property 6308 JobId M 3016
ObjectType 1015 VisionEventType 0:2041 abstract
  Property 6193 CausePath O 0:12
  Property 6550 ExternalConfigurationId O 3008
  Property 6195 ExternalRecipeId O 3002
  Property 6200 InternalConfigurationId O 3008
  Property 6198 InternalRecipeId O 3013
  Property 6203 JobId O 3016
  Property 6194 MeasId O 3015
  Property 6201 PartId O 3004
  Property 6199 ProductId O 3003
  Property 6204 ResultId O 3021
ObjectType 1037 VisionDiagnosticInfoEventType 1015
ObjectType 1038 VisionInformationEventType 1015
ObjectType 1033 VisionConditionType 0:2881 abstract
  Property 6206 BlockReaction M 0:1
  Property 6207 CausePath O 0:12
  Property 6208 ErrorCode O 0:9
  Property 6283 ErrorString O 0:12
  Property 6347 ExternalConfigurationId O 3008
  Property 6346 ExternalRecipeId O 3002
  Property 6192 InternalConfigurationId O 3008
  Property 6321 InternalRecipeId O 3013
  Property 6343 JobId O 3016
  Property 6344 MeasId O 3015
  Property 6307 PartId O 3004
  Property 6323 ProductId O 3003
  Property 6345 ResultId O 3021
  Property 6293 StopReaction M 0:1
ObjectType 1034 VisionWarningConditionType 1033
ObjectType 1035 VisionErrorConditionType 1033
ObjectType 1036 VisionPersistentErrorConditionType 1033
"""
_OF_SYSTEM = """
ObjectType 5053 VisionStateMachine 1017
  State 5101 Preoperational 1 6415 M
  State 5106 Halted 2 6434 M
  State 5107 Error 3 6435 M
  State 5108 Operational 4 6436 M
"""
"""What VisionSystemType demands of its state machine beyond the type of it."""

TYPES: dict[str, Type] = {one.id: one for one in (STATE_MACHINE, AUTOMATIC_MODE, *types_of(_TABLE), *types_of(_EVENTS))}
"""By id, in the order of the table; a base may come later."""
STATES_OF_SYSTEM = next(types_of(_OF_SYSTEM))
NAMED = {one.name: one for one in TYPES.values()}
