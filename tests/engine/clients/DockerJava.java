import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManager;
import org.apache.hc.client5.http.socket.ConnectionSocketFactory;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.config.RegistryBuilder;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;
import org.apache.hc.core5.http.protocol.HttpContext;
import org.apache.hc.core5.net.URIAuthority;
import org.apache.hc.core5.util.TimeValue;

/**
 * A day's work with docker-java before 3.5, for clients_test.ts:
 * {@code DockerJava.java SOCKET ROOT_TAR BIND_DIR}.
 *
 * It uses Apache HttpClient 5 before 5.3 as docker-java 3.2 to 3.4 do
 * (ApacheDockerHttpClientImpl and DefaultInvocationBuilder there): a POST
 * without an entity has a Content-Type and neither a Content-Length nor a body.
 * Prints a line for each thing done; whatever goes wrong is an exception.
 */
public class DockerJava {
    private final CloseableHttpClient client;
    private final HttpHost host = new HttpHost("unix", "localhost", 2375);

    private DockerJava(String socket) {
        ConnectionSocketFactory unix = new ConnectionSocketFactory() {
            @Override
            public Socket createSocket(HttpContext context) throws IOException {
                return new UnixSocket(socket);
            }

            @Override
            public Socket connectSocket(
                TimeValue timeout, Socket socket, HttpHost host,
                InetSocketAddress remote, InetSocketAddress local,
                HttpContext context
            ) {
                return socket;
            }
        };
        client = HttpClients.custom()
            .setConnectionManager(new PoolingHttpClientConnectionManager(
                RegistryBuilder.<ConnectionSocketFactory>create()
                    .register("unix", unix).build()))
            .disableConnectionState()
            .build();
    }

    private String send(
        String method, String path, String type, HttpEntity entity, int... wanted
    ) throws IOException {
        // Without a version, unless the caller asks docker-java for one.
        HttpUriRequestBase request =
            new HttpUriRequestBase(method, URI.create(path));
        request.setScheme(host.getSchemeName());
        request.setAuthority(
            new URIAuthority(host.getHostName(), host.getPort()));
        request.addHeader("accept", "application/json");
        if (type != null) request.addHeader("content-type", type);
        if (path.contains("/push?")) request.addHeader("X-Registry-Auth", "e30=");
        request.setEntity(entity);
        try (ClassicHttpResponse response = client.executeOpen(host, request, null)) {
            String body = response.getEntity() == null
                ? "" : EntityUtils.toString(response.getEntity());
            for (int each : wanted) {
                if (each == response.getCode()) {
                    System.out.println(method + " " + path);
                    return body;
                }
            }
            throw new IOException(
                method + " " + path + ": " + response.getCode() + " " + body);
        } catch (org.apache.hc.core5.http.HttpException error) {
            throw new IOException(error);
        }
    }

    private String get(String path) throws IOException {
        return send("GET", path, null, null, 200);
    }

    /** {@code post(null)}: all its POSTs that have nothing to say. */
    private String post(String path, int... wanted) throws IOException {
        return send("POST", path, "application/json", null, wanted);
    }

    private String post(String path, String json, int wanted) throws IOException {
        byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
        return send("POST", path, "application/json",
            new ByteArrayEntity(bytes, null), wanted);
    }

    private static String id(String answer) {
        Matcher id = Pattern.compile("\"Id\":\"([0-9a-f]{64})\"").matcher(answer);
        if (!id.find()) throw new IllegalStateException(answer);
        return id.group(1);
    }

    private static void check(String got, String wanted) {
        if (!got.contains(wanted)) {
            throw new IllegalStateException("got " + got + ", wanted " + wanted);
        }
    }

    private void day(Path root, String bind) throws IOException {
        get("/version");
        get("/info");
        try (InputStream tar = Files.newInputStream(root)) {
            send("POST", "/images/create?fromSrc=-&repo=acme%2Fjava&tag=1", null,
                new InputStreamEntity(tar, null), 200);
        }
        check(get("/images/acme/java:1/json"), "acme/java:1");
        post("/images/acme/java:1/tag?repo=acme%2Fjava&tag=2&force=0", 201);
        // Nothing answers there; what counts is that the engine tries.
        post("/images/create?tag=1&fromImage=localhost%3A1%2Fjava", 404, 500);
        check(post("/images/acme/java/push?tag=1", 200), "\"error\"");

        String network = id(post("/networks/create",
            "{\"Name\":\"java-net\",\"CheckDuplicate\":true,\"Internal\":true}", 201));
        String made = id(post("/containers/create?name=java-made",
            "{\"Image\":\"acme/java:1\",\"Env\":[\"A=b\"],"
            + "\"Cmd\":[\"sleep\",\"600\"],\"Volumes\":{\"/b\":{}},"
            + "\"Labels\":{\"org.testcontainers\":\"true\"},"
            + "\"HostConfig\":{\"Binds\":[\"" + bind + ":/b:rw\"],"
            + "\"NetworkMode\":\"none\",\"VolumesFrom\":[],\"Mounts\":null}}", 201));
        String container = "/containers/" + made;
        post(container + "/start", 204);
        check(get(container + "/json"), "\"Running\":true");
        get("/containers/json?all=1");
        String exec = id(post(container + "/exec",
            "{\"AttachStdout\":true,\"AttachStderr\":true,"
            + "\"Cmd\":[\"cat\",\"/b/note\"]}", 201));
        check(post("/exec/" + exec + "/start",
            "{\"Detach\":false,\"Tty\":false}", 200), "from the host");
        try (InputStream tar = new ByteArrayInputStream(new byte[1024])) {
            send("PUT", container + "/archive?noOverwriteDirNonDir=false&path=%2Ftmp",
                "application/x-tar", new InputStreamEntity(tar, null), 200);
        }
        post(container + "/update",
            "{\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":2}}", 200);
        post(container + "/pause", 204);
        post(container + "/unpause", 204);
        post(container + "/rename?name=java-renamed", 204);
        post(container + "/restart?t=0", 204);
        post("/commit?container=" + made + "&repo=acme%2Fjava&tag=3", "{}", 201);
        post(container + "/stop?t=0", 204);
        post(container + "/start", 204);
        post(container + "/kill?signal=KILL", 204);
        post(container + "/wait", 200);
        send("DELETE", container + "?v=true&force=true", null, null, 204);
        send("DELETE", "/networks/" + network, null, null, 204);
    }

    public static void main(String[] args) throws IOException {
        new DockerJava(args[0]).day(Path.of(args[1]), args[2]);
        System.exit(0);
    }

    /** A connected unix socket, as docker-java has it. */
    private static class UnixSocket extends Socket {
        private final SocketAddress address;
        private final SocketChannel channel;

        UnixSocket(String path) throws IOException {
            address = UnixDomainSocketAddress.of(path);
            channel = SocketChannel.open(address);
        }

        @Override
        public InputStream getInputStream() {
            return Channels.newInputStream(channel);
        }

        @Override
        public OutputStream getOutputStream() {
            // Channels would lock a channel that is read at the same time.
            return Channels.newOutputStream(new WritableByteChannel() {
                @Override
                public int write(ByteBuffer bytes) throws IOException {
                    return channel.write(bytes);
                }

                @Override
                public boolean isOpen() {
                    return channel.isOpen();
                }

                @Override
                public void close() throws IOException {
                    channel.close();
                }
            });
        }

        @Override
        public boolean isConnected() {
            return true;
        }

        @Override
        public SocketAddress getRemoteSocketAddress() {
            return address;
        }

        @Override
        public void setSoTimeout(int timeout) {
            // A channel has none.
        }

        @Override
        public int getSoTimeout() {
            return 0;
        }

        @Override
        public void close() throws IOException {
            super.close();
            channel.close();
        }
    }
}
