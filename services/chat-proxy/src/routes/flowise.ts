import type { Route } from '@tollgate/http-kit';
import { type FlowiseChatFlows, flowiseChatRoutes } from './flowise/chats.ts';
import { type FlowisePredictionFlows, flowisePredictionRoutes } from './flowise/predictions.ts';
import { type FlowiseSideFlows, flowiseSideRoutes } from './flowise/side.ts';
import { type FlowiseWindowFlows, flowiseWindowRoutes } from './flowise/windows.ts';

export type FlowiseFlows = FlowisePredictionFlows & FlowiseWindowFlows & FlowiseChatFlows & FlowiseSideFlows;

/** The paths of a Flowise server, for its clients. */
export const flowiseRoutes = (flows: FlowiseFlows): Route[] => [
  ...flowisePredictionRoutes(flows),
  ...flowiseWindowRoutes(flows),
  ...flowiseChatRoutes(flows),
  ...flowiseSideRoutes(flows),
];
