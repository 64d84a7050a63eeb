// Generated from api/openapi.json by `npm run gen`. Do not edit.

export interface paths {
    "/api/v1/bngs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All gateways, by namespace and name: one page. */
        get: operations["listBngs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bngs/{namespace}/{name}/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A gateway's health reports, oldest first: at most the last 2,000. */
        get: operations["listBngHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Events of all gateways, the latest first. */
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sessions of the past, the latest end first. */
        get: operations["listHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who asks, and what they may do. */
        get: operations["getMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The network at a glance. */
        get: operations["getOverview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/policies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All policies, by namespace and name: one page. */
        get: operations["listPolicies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Access routers by gateway and name. */
        get: operations["listRouters"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Active sessions, the latest first. */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One session, active or of the past. */
        get: operations["getSession"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}/disconnect": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Disconnects the subscriber: needs the right to delete sessions.sessions.lastmile.io in the session's namespace. */
        post: operations["disconnectSession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A session's events, the latest first. */
        get: operations["listSessionEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}/traffic": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A session's traffic, oldest point first. */
        get: operations["getSessionTraffic"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/stream/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Changes of sessions from now on, as server-sent events: each `session` event's data is a SessionChange and its id the revision. */
        get: operations["streamSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description What AAA said of a session.
         * @enum {string}
         */
        AuthState: "PENDING_AUTH" | "AUTHORIZED" | "REJECTED";
        /** @description A gateway: what Kubernetes says of it and what it says itself. */
        Bng: {
            /** @description Its namespace. */
            namespace: string;
            /** @description Its name. */
            name: string;
            /** @description No event for 60 seconds, or none ever. */
            stale: boolean;
            /** @description The operator's word for it; null when Kubernetes has no such object (any more). */
            phase: string | null;
            /** @description The Kubernetes node. */
            node: string | null;
            /** @description As the operator last saw them. */
            conditions: components["schemas"]["Condition"][];
            /**
             * Format: uuid
             * @description The life of its journal; null until it was heard of.
             */
            instanceId: string | null;
            /**
             * Format: int64
             * @description Its last event.
             */
            lastSeq: number | null;
            /**
             * Format: date-time
             * @description When it was first heard of.
             */
            firstSeen: string | null;
            /**
             * Format: date-time
             * @description When it was last heard of.
             */
            lastSeen: string | null;
            /**
             * Format: int64
             * @description Active sessions.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Of those, authorised ones.
             */
            authorized: number;
            health: null | components["schemas"]["Health"];
        };
        /** @description Gateways, counted. */
        BngTotals: {
            /**
             * Format: int64
             * @description All that were ever heard of.
             */
            total: number;
            /**
             * Format: int64
             * @description Heard of within the last 60 seconds.
             */
            up: number;
            /**
             * Format: int64
             * @description The others.
             */
            stale: number;
        };
        /** @description A Kubernetes condition. */
        Condition: {
            /** @description Its type, e.g. `Ready`. */
            type: string;
            /** @description `True`, `False` or `Unknown`. */
            status: string;
            /** @description Why, in one word. */
            reason?: string;
            /** @description Why, for people. */
            message?: string;
            /**
             * Format: date-time
             * @description Since when.
             */
            lastTransitionTime: string | null;
        };
        /** @description What came of an order to disconnect. */
        Disconnected: {
            /** @description Always true: the gateway stopped the session and journalled it. Anything else is a problem. */
            done: boolean;
        };
        /** @description One event of a gateway. */
        Event: {
            /** @description The gateway's namespace. */
            namespace: string;
            /** @description The gateway's name. */
            bng: string;
            /**
             * Format: uuid
             * @description The life of its journal.
             */
            bngInstanceId: string;
            /**
             * Format: int64
             * @description Its place in the instance's order, from 1.
             */
            seq: number;
            /**
             * Format: date-time
             * @description When the gateway journalled it.
             */
            ts: string;
            /** @description What happened. */
            eventType: components["schemas"]["EventType"];
            /**
             * Format: uuid
             * @description The session it is about.
             */
            sessionId: string | null;
            /** @description As the gateway sent it. */
            payload: {
                [key: string]: unknown;
            };
        };
        /**
         * @description The kinds of events.
         * @enum {string}
         */
        EventType: "SESSION_START" | "SESSION_UPDATE" | "SESSION_STOP" | "POLICY_APPLY" | "ROUTER_UPDATE" | "BNG_HEALTH_UPDATE";
        /** @description A gateway's load over the interval before a report. */
        Health: {
            /**
             * Format: date-time
             * @description When the report was made.
             */
            at: string;
            /**
             * Format: double
             * @description Cores in use (1.0 = one core busy).
             */
            cpuCores: number;
            /**
             * Format: int64
             * @description Memory, octets.
             */
            memoryBytes: number;
            /**
             * Format: int64
             * @description Sessions that have an address.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Of those, authorised ones.
             */
            authorized: number;
            /**
             * Format: int64
             * @description Seconds since the daemon started.
             */
            uptimeSeconds: number;
        };
        /** @description Who asks. */
        Me: {
            /** @description The Kubernetes user. */
            name: string;
            /** @description May delete sessions.sessions.lastmile.io in every namespace. */
            canDisconnect: boolean;
        };
        /** @description The network at a glance. */
        Overview: {
            /** @description Active sessions. */
            sessions: components["schemas"]["SessionTotals"];
            /** @description Gateways. */
            bngs: components["schemas"]["BngTotals"];
            /** @description Access routers. */
            routers: components["schemas"]["RouterTotals"];
            /** @description What all subscribers moved together. */
            throughput: components["schemas"]["Throughput"];
            /**
             * Format: date-time
             * @description When this was so.
             */
            at: string;
        };
        /** @description One page of a list. */
        Page_Bng: {
            /** @description The rows, in order. */
            items: {
                /** @description Its namespace. */
                namespace: string;
                /** @description Its name. */
                name: string;
                /** @description No event for 60 seconds, or none ever. */
                stale: boolean;
                /** @description The operator's word for it; null when Kubernetes has no such object (any more). */
                phase: string | null;
                /** @description The Kubernetes node. */
                node: string | null;
                /** @description As the operator last saw them. */
                conditions: components["schemas"]["Condition"][];
                /**
                 * Format: uuid
                 * @description The life of its journal; null until it was heard of.
                 */
                instanceId: string | null;
                /**
                 * Format: int64
                 * @description Its last event.
                 */
                lastSeq: number | null;
                /**
                 * Format: date-time
                 * @description When it was first heard of.
                 */
                firstSeen: string | null;
                /**
                 * Format: date-time
                 * @description When it was last heard of.
                 */
                lastSeen: string | null;
                /**
                 * Format: int64
                 * @description Active sessions.
                 */
                sessions: number;
                /**
                 * Format: int64
                 * @description Of those, authorised ones.
                 */
                authorized: number;
                health: null | components["schemas"]["Health"];
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description One page of a list. */
        Page_Event: {
            /** @description The rows, in order. */
            items: {
                /** @description The gateway's namespace. */
                namespace: string;
                /** @description The gateway's name. */
                bng: string;
                /**
                 * Format: uuid
                 * @description The life of its journal.
                 */
                bngInstanceId: string;
                /**
                 * Format: int64
                 * @description Its place in the instance's order, from 1.
                 */
                seq: number;
                /**
                 * Format: date-time
                 * @description When the gateway journalled it.
                 */
                ts: string;
                /** @description What happened. */
                eventType: components["schemas"]["EventType"];
                /**
                 * Format: uuid
                 * @description The session it is about.
                 */
                sessionId: string | null;
                /** @description As the gateway sent it. */
                payload: {
                    [key: string]: unknown;
                };
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description One page of a list. */
        Page_Health: {
            /** @description The rows, in order. */
            items: {
                /**
                 * Format: date-time
                 * @description When the report was made.
                 */
                at: string;
                /**
                 * Format: double
                 * @description Cores in use (1.0 = one core busy).
                 */
                cpuCores: number;
                /**
                 * Format: int64
                 * @description Memory, octets.
                 */
                memoryBytes: number;
                /**
                 * Format: int64
                 * @description Sessions that have an address.
                 */
                sessions: number;
                /**
                 * Format: int64
                 * @description Of those, authorised ones.
                 */
                authorized: number;
                /**
                 * Format: int64
                 * @description Seconds since the daemon started.
                 */
                uptimeSeconds: number;
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description One page of a list. */
        Page_Policy: {
            /** @description The rows, in order. */
            items: {
                /** @description Its namespace. */
                namespace: string;
                /** @description Its name. */
                name: string;
                /**
                 * Format: uuid
                 * @description Its uid in Kubernetes.
                 */
                uid: string;
                /**
                 * Format: int64
                 * @description The generation of its spec.
                 */
                generation: number;
                /** @description The operator's word for it. */
                phase: string;
                /** @description As the operator last saw them. */
                conditions: components["schemas"]["Condition"][];
                /** @description As the user wrote it. */
                spec: {
                    [key: string]: unknown;
                };
                /**
                 * Format: date-time
                 * @description When the operator last wrote this.
                 */
                observedAt: string;
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description One page of a list. */
        Page_Router: {
            /** @description The rows, in order. */
            items: {
                /** @description The gateway's namespace. */
                namespace: string;
                /** @description The gateway's name. */
                bng: string;
                /** @description The router's name: the circuit-id's prefix, else the giaddr. */
                name: string;
                /** @description The address it relays from. */
                giaddr: string | null;
                /** @description Whether it answers. */
                alive: boolean;
                /**
                 * Format: int64
                 * @description Last ICMP round trip, microseconds.
                 */
                rttUs: number | null;
                /**
                 * Format: date-time
                 * @description When DHCP first came through it.
                 */
                firstSeen: string;
                /**
                 * Format: date-time
                 * @description When it last showed life.
                 */
                lastSeen: string;
                /**
                 * Format: int64
                 * @description Active sessions through it.
                 */
                sessions: number;
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description One page of a list. */
        Page_Session: {
            /** @description The rows, in order. */
            items: {
                /**
                 * Format: uuid
                 * @description The session.
                 */
                id: string;
                /** @description Its name in Kubernetes, `s-<id>`. */
                name: string;
                /** @description The gateway's namespace. */
                namespace: string;
                /** @description The gateway's name. */
                bng: string;
                /**
                 * Format: uuid
                 * @description The life of the gateway's journal that it belongs to.
                 */
                bngInstanceId: string;
                /** @description Acct-Session-Id (RFC 2866 §5.5). */
                acctSessionId: string;
                /** @description User-Name as sent to RADIUS. */
                subscriber: string;
                /** @description Agent Circuit ID (RFC 3046 §3.1); octets that are not printable ASCII as `\xNN`. */
                circuitId: string;
                /** @description Agent Remote ID (RFC 3046 §3.2); octets that are not printable ASCII as `\xNN`. */
                remoteId: string;
                /** @description The access router's name. */
                router: string;
                /** @description The access router's address. */
                giaddr: string | null;
                /** @description The client's hardware address. */
                mac: string;
                /** @description The leased address. */
                ip: string;
                /** @description As the client named itself. */
                hostname: string | null;
                /** @description EXPIRED once it ended. */
                state: components["schemas"]["SessionState"];
                /** @description What AAA said. */
                auth: components["schemas"]["AuthState"];
                /** @description The SubscriberPolicy in force. */
                policy: string | null;
                /**
                 * Format: int64
                 * @description Limit towards the subscriber, kbit/s; null = none.
                 */
                downKbps: number | null;
                /**
                 * Format: int64
                 * @description Limit from the subscriber, kbit/s; null = none.
                 */
                upKbps: number | null;
                /** @description What it moved. */
                counters: components["schemas"]["SessionCounters"];
                /**
                 * Format: date-time
                 * @description When it started.
                 */
                startedAt: string;
                /**
                 * Format: date-time
                 * @description When it was last heard of; null once it ended.
                 */
                updatedAt: string | null;
                /**
                 * Format: date-time
                 * @description When the lease ends; null once the session ended.
                 */
                leaseExpiresAt: string | null;
                ended: null | components["schemas"]["SessionEnd"];
                /**
                 * Format: int64
                 * @description When it last changed, in the order of all changes.
                 */
                revision: number;
            }[];
            /** @description For `cursor` of the next request; null = this is the last page. */
            nextCursor: string | null;
        };
        /** @description A SubscriberPolicy as the operator last saw it. */
        Policy: {
            /** @description Its namespace. */
            namespace: string;
            /** @description Its name. */
            name: string;
            /**
             * Format: uuid
             * @description Its uid in Kubernetes.
             */
            uid: string;
            /**
             * Format: int64
             * @description The generation of its spec.
             */
            generation: number;
            /** @description The operator's word for it. */
            phase: string;
            /** @description As the operator last saw them. */
            conditions: components["schemas"]["Condition"][];
            /** @description As the user wrote it. */
            spec: {
                [key: string]: unknown;
            };
            /**
             * Format: date-time
             * @description When the operator last wrote this.
             */
            observedAt: string;
        };
        /** @description Why a request was not fulfilled (RFC 9457). */
        Problem: {
            /** @description Always `about:blank`: the status says it all. */
            type: string;
            /** @description The status in words. */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description For people. */
            detail: string;
        };
        /** @description An access router as its gateway sees it. */
        Router: {
            /** @description The gateway's namespace. */
            namespace: string;
            /** @description The gateway's name. */
            bng: string;
            /** @description The router's name: the circuit-id's prefix, else the giaddr. */
            name: string;
            /** @description The address it relays from. */
            giaddr: string | null;
            /** @description Whether it answers. */
            alive: boolean;
            /**
             * Format: int64
             * @description Last ICMP round trip, microseconds.
             */
            rttUs: number | null;
            /**
             * Format: date-time
             * @description When DHCP first came through it.
             */
            firstSeen: string;
            /**
             * Format: date-time
             * @description When it last showed life.
             */
            lastSeen: string;
            /**
             * Format: int64
             * @description Active sessions through it.
             */
            sessions: number;
        };
        /** @description Access routers, counted. */
        RouterTotals: {
            /**
             * Format: int64
             * @description All.
             */
            total: number;
            /**
             * Format: int64
             * @description Those that answer.
             */
            alive: number;
        };
        /** @description A session, active or of the past. */
        Session: {
            /**
             * Format: uuid
             * @description The session.
             */
            id: string;
            /** @description Its name in Kubernetes, `s-<id>`. */
            name: string;
            /** @description The gateway's namespace. */
            namespace: string;
            /** @description The gateway's name. */
            bng: string;
            /**
             * Format: uuid
             * @description The life of the gateway's journal that it belongs to.
             */
            bngInstanceId: string;
            /** @description Acct-Session-Id (RFC 2866 §5.5). */
            acctSessionId: string;
            /** @description User-Name as sent to RADIUS. */
            subscriber: string;
            /** @description Agent Circuit ID (RFC 3046 §3.1); octets that are not printable ASCII as `\xNN`. */
            circuitId: string;
            /** @description Agent Remote ID (RFC 3046 §3.2); octets that are not printable ASCII as `\xNN`. */
            remoteId: string;
            /** @description The access router's name. */
            router: string;
            /** @description The access router's address. */
            giaddr: string | null;
            /** @description The client's hardware address. */
            mac: string;
            /** @description The leased address. */
            ip: string;
            /** @description As the client named itself. */
            hostname: string | null;
            /** @description EXPIRED once it ended. */
            state: components["schemas"]["SessionState"];
            /** @description What AAA said. */
            auth: components["schemas"]["AuthState"];
            /** @description The SubscriberPolicy in force. */
            policy: string | null;
            /**
             * Format: int64
             * @description Limit towards the subscriber, kbit/s; null = none.
             */
            downKbps: number | null;
            /**
             * Format: int64
             * @description Limit from the subscriber, kbit/s; null = none.
             */
            upKbps: number | null;
            /** @description What it moved. */
            counters: components["schemas"]["SessionCounters"];
            /**
             * Format: date-time
             * @description When it started.
             */
            startedAt: string;
            /**
             * Format: date-time
             * @description When it was last heard of; null once it ended.
             */
            updatedAt: string | null;
            /**
             * Format: date-time
             * @description When the lease ends; null once the session ended.
             */
            leaseExpiresAt: string | null;
            ended: null | components["schemas"]["SessionEnd"];
            /**
             * Format: int64
             * @description When it last changed, in the order of all changes.
             */
            revision: number;
        };
        /**
         * @description The data of an event named `session`. An event named `reset` (no data worth reading) says that changes were missed: ask for the
         *     list again.
         */
        SessionChange: {
            /** @description The session as it is now; `ended` is set when this change ended it. */
            session: components["schemas"]["Session"];
        };
        /** @description What a subscriber moved since the session's start, in IP octets and packets. Input is download, output is upload. */
        SessionCounters: {
            /**
             * Format: int64
             * @description Octets downloaded.
             */
            inputOctets: number;
            /**
             * Format: int64
             * @description Octets uploaded.
             */
            outputOctets: number;
            /**
             * Format: int64
             * @description Packets downloaded.
             */
            inputPackets: number;
            /**
             * Format: int64
             * @description Packets uploaded.
             */
            outputPackets: number;
        };
        /** @description How a session ended. */
        SessionEnd: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Acct-Terminate-Cause (RFC 2866 §5.10), e.g. `User-Request`. */
            cause: string;
            /** @description More exactly, for people, e.g. `DHCPRELEASE`. */
            detail: string;
            /** @description The operator closed it for a gateway that is gone; the gateway may still correct it. */
            provisional: boolean;
        };
        /**
         * @description Where a session is in its life.
         * @enum {string}
         */
        SessionState: "PENDING" | "ACTIVE" | "IDLE" | "EXPIRED";
        /** @description Active sessions, counted. */
        SessionTotals: {
            /**
             * Format: int64
             * @description All.
             */
            total: number;
            /**
             * Format: int64
             * @description State PENDING.
             */
            pending: number;
            /**
             * Format: int64
             * @description State ACTIVE.
             */
            active: number;
            /**
             * Format: int64
             * @description State IDLE.
             */
            idle: number;
            /**
             * Format: int64
             * @description AAA has not answered.
             */
            pendingAuth: number;
            /**
             * Format: int64
             * @description Access-Accept.
             */
            authorized: number;
            /**
             * Format: int64
             * @description Access-Reject.
             */
            rejected: number;
        };
        /** @description What all subscribers moved together. */
        Throughput: {
            /**
             * Format: double
             * @description Download in the latest bucket, bit/s.
             */
            inputBps: number;
            /**
             * Format: double
             * @description Upload in the latest bucket, bit/s.
             */
            outputBps: number;
            /** @description The last hour in buckets of five minutes, oldest first. */
            points: components["schemas"]["ThroughputPoint"][];
        };
        /** @description One bucket of five minutes. */
        ThroughputPoint: {
            /**
             * Format: date-time
             * @description The bucket's start.
             */
            at: string;
            /**
             * Format: double
             * @description Download on average, bit/s.
             */
            inputBps: number;
            /**
             * Format: double
             * @description Upload on average, bit/s.
             */
            outputBps: number;
        };
        /** @description What a session moved over time. */
        Traffic: {
            /**
             * Format: uuid
             * @description The session.
             */
            sessionId: string;
            /** @description Oldest first. */
            points: components["schemas"]["TrafficPoint"][];
        };
        /** @description A session's counters at a moment and its rate since the point before. */
        TrafficPoint: {
            /**
             * Format: date-time
             * @description The moment.
             */
            at: string;
            /**
             * Format: int64
             * @description Octets downloaded since the session's start.
             */
            inputOctets: number;
            /**
             * Format: int64
             * @description Octets uploaded since the session's start.
             */
            outputOctets: number;
            /**
             * Format: double
             * @description Download since the point before, bit/s.
             */
            inputBps: number;
            /**
             * Format: double
             * @description Upload since the point before, bit/s.
             */
            outputBps: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listBngs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Bng"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listBngHealth: {
        parameters: {
            query?: {
                /** @description Minutes back from now, 1 to 10,080; 60 unless given. */
                minutes?: number;
            };
            header?: never;
            path: {
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Health"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listEvents: {
        parameters: {
            query?: {
                /** @description One kind. */
                type?: "SESSION_START" | "SESSION_UPDATE" | "SESSION_STOP" | "POLICY_APPLY" | "ROUTER_UPDATE" | "BNG_HEALTH_UPDATE";
                /** @description A gateway, `name` or `namespace/name`. */
                bng?: string;
                /** @description Rows a page, 1 to 500. */
                limit?: number;
                /** @description `nextCursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Event"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listHistory: {
        parameters: {
            query?: {
                /** @description Sessions that were there at this time or later, RFC 3339. */
                from?: string;
                /** @description Sessions that were there at this time or before, RFC 3339. */
                to?: string;
                /** @description Found anywhere in subscriber, address, MAC, circuit-id or remote-id, whatever the case. */
                q?: string;
                /** @description A gateway, `name` or `namespace/name`. */
                bng?: string;
                /** @description Rows a page, 1 to 500. */
                limit?: number;
                /** @description `nextCursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Session"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Me"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getOverview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Overview"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listPolicies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Policy"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listRouters: {
        parameters: {
            query?: {
                /** @description A gateway, `name` or `namespace/name`. */
                bng?: string;
                /** @description Rows a page, 1 to 500. */
                limit?: number;
                /** @description `nextCursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Router"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listSessions: {
        parameters: {
            query?: {
                /** @description Found anywhere in subscriber, address, MAC, circuit-id or remote-id, whatever the case. */
                q?: string;
                /** @description A gateway, `name` or `namespace/name`. */
                bng?: string;
                /** @description One state. */
                state?: "PENDING" | "ACTIVE" | "IDLE" | "EXPIRED";
                /** @description What AAA said. */
                auth?: "PENDING_AUTH" | "AUTHORIZED" | "REJECTED";
                /** @description Rows a page, 1 to 500. */
                limit?: number;
                /** @description `nextCursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Session"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    disconnectSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Disconnected"];
                };
            };
            /** @description The gateway refused */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The gateway did not answer */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listSessionEvents: {
        parameters: {
            query?: {
                /** @description Rows a page, 1 to 500. */
                limit?: number;
                /** @description `nextCursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Event"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSessionTraffic: {
        parameters: {
            query?: {
                /** @description `report` = one point an interim report, the last 2,000; `rollup` = one point every five minutes. */
                resolution?: "report" | "rollup";
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Traffic"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    streamSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["SessionChange"];
                };
            };
        };
    };
}
