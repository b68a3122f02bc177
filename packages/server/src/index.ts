export { type EngineLimits, type EngineStatistics, memoryStorage, type StreamStorage } from '@millrace/engine'
export {
  type AdminRefusal,
  MOST_HASHED_BYTES,
  type SnapshotEntry,
  type SnapshotFiles,
  type SnapshotHead,
  type SnapshotStore,
} from './admin-routes.ts'
export { ADMIN_SOCKET, type AdminOptions, type AdminSocket, openAdminSocket } from './admin-socket.ts'
export { type CreatedApiKey, createApiKey } from './auth-api-keys.ts'
export { authenticationOf } from './auth-config.ts'
export type {
  AccessRule,
  ApiKey,
  Authentication,
  AuthenticationOptions,
  JwtOptions,
  Operation,
  Permission,
  TokenAlgorithm,
  TokenKeys,
  TrustedHeaderOptions,
} from './auth-options.ts'
export { CONFIG_KEYS, type ConfigKey, variableOf } from './config-keys.ts'
export { type ConfiguredOptions, serverOptionsOf } from './config-options.ts'
export type { EffectiveValue } from './config-resolve.ts'
export { configSchema, writtenValue } from './config-schema.ts'
export type { ConfigValue, RawValue, ValueKind } from './config-value.ts'
export { createHandler, type MillraceHandler } from './create-handler.ts'
export { createServer, DEFAULT_PORT, type MillraceServer, type ServerOptions } from './create-server.ts'
export type { FetchHandler } from './fetch-adapter.ts'
export type { RequestCounts } from './listener.ts'
export { ConfigError, type LoadConfigOptions, type LoadedConfig, loadConfig } from './load-config.ts'
export { LOG_LEVELS, type LogLevel, logLevelOf } from './log-level.ts'
export type { NodeListener } from './node-adapter.ts'
export { OperatorNotice } from './operator-notice.ts'
export type { AnsweredRequest, HandlerOptions } from './options.ts'
export { openSocketFolder, type SocketFolder, SocketPathTooLong } from './socket-path.ts'
export { type HttpVersion, readTlsFiles, TlsFileError, type TlsOptions } from './tls-files.ts'
