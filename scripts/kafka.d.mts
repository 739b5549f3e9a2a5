export declare const KAFKA_VERSION: string

/** Something that Kafka needs is not on this machine. */
export declare class KafkaMissing extends Error {}

export interface Cluster {
  /** host:port of each broker. */
  bootstrap: string[]
  dir: string
  jars: string
  ports: number[]
  pids: number[]
  /** With TLS: the file of the authority's certificate, and the passwords of the users. */
  tls?: { ca: string; users: Record<string, string> }
}

export declare function kafkaJars(): Promise<string>
/** Ports of the loopback interface that nobody listens on at this moment. */
export declare function freePorts(count: number): Promise<number[]>
export declare function startCluster(options?: {
  brokers?: 1 | 3
  port?: number
  tls?: boolean
  dir?: string
  /** Further lines of server.properties. */
  extra?: Record<string, string | number>
}): Promise<Cluster>
export declare function stopCluster(dir: string): Promise<void>
/** @param id 1 for the first. */
export declare function startBroker(
  cluster: Pick<Cluster, 'dir' | 'jars' | 'ports'>,
  id: number,
): Promise<{ pid?: number }>
export declare function stopBroker(dir: string, id: number, signal?: NodeJS.Signals): Promise<void>
