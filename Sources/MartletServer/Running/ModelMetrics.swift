import MartletCore
import MartletRepository

/// What is loaded, as metrics.
struct ModelMetrics: MetricSource {
  let repository: ModelRepository

  func collect(into collector: inout MetricCollector) {
    for model in repository.catalogue.models {
      let labels = [(name: "model", value: model.name), (name: "version", value: model.versionText)]
      collector.gauge(
        "martlet_model_info", help: "A loaded model; always 1.",
        labels: labels + [(name: "format", value: model.format), (name: "digest", value: model.digest)], 1)
      collector.gauge(
        "martlet_model_load_duration_seconds", help: "Time that loading took.", labels: labels, model.loadSeconds)
      collector.gauge(
        "martlet_model_loaded_timestamp_seconds", help: "When the model was loaded, since 1970.", labels: labels,
        model.loadedAt)
      collector.gauge(
        "martlet_model_bytes", help: "Size of the model file.", labels: labels, Double(model.fileBytes))
    }
    for state in repository.states {
      collector.gauge(
        "martlet_model_ready", help: "Whether a version in the repository serves.",
        labels: [(name: "model", value: state.name), (name: "version", value: state.version)],
        state.state == "READY" ? 1 : 0)
    }
  }
}
