// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that building the server never builds this.
let package = Package(
  name: "MartletFuzz",
  dependencies: [
    .package(name: "martlet", path: "../.."),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
  ],
  targets: [
    .systemLibrary(name: "CMalloc", path: "CMalloc"),
    .executableTarget(
      name: "MartletFuzz",
      dependencies: [
        "CMalloc", .product(name: "MartletServices", package: "martlet"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Sources",
      swiftSettings: [.swiftLanguageMode(.v6)]),
  ])
