// Every generated message, as one module.
#include "google/protobuf/any.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "inference/grpc_service.pb-c.h"
#include "martlet/v1/scoring.pb-c.h"
#include "onnx/onnx.pb-c.h"
#include "ttrpc/ttrpc.pb-c.h"
