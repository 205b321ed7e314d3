// The messages and enumerations of the API groundswell.v1, as protoc-gen-es makes them of proto/.
export * from "./gen/groundswell/v1/admin_pb.js";
export * from "./gen/groundswell/v1/catalogue_pb.js";
export * from "./gen/groundswell/v1/interaction_pb.js";
export * from "./gen/groundswell/v1/list_trace_pb.js";
export * from "./gen/groundswell/v1/recommend_pb.js";
