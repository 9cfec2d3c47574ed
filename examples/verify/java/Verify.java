import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Verifies tokens of a JWKS: reads one a line, prints {@code valid SUB} or {@code invalid REASON}. Nimbus holds the keys.
 *
 * <p>JWKS_URL (https, but on your own machine), ISSUER and AUDIENCE are required. ALGORITHMS names what your issuer signs with.
 */
public final class Verify {
    /** Never HS256: its secret would have to be published. Nimbus's processor has no EdDSA. */
    private static final Set<String> ASYMMETRIC = Set.of("ES256", "RS256", "PS256");

    private static final int TIMEOUT_MS = 5_000; // Nimbus's own is 500
    private static final int BYTES_MAX = 50 * 1024;

    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    /**
     * Make one for the whole process. The set is kept for 5 minutes and fetched ahead of that; an unknown kid fetches it
     * again, at most twice in 30 s.
     */
    public Verify(URI jwks, String issuer, String audience, Set<String> algorithms) throws Exception {
        if (!ASYMMETRIC.containsAll(algorithms)) {
            throw new IllegalArgumentException("ALGORITHMS may name " + ASYMMETRIC);
        }
        var retriever = new DefaultResourceRetriever(TIMEOUT_MS, TIMEOUT_MS, BYTES_MAX);
        var keys = JWKSourceBuilder.<SecurityContext>create(jwks.toURL(), retriever).build();
        var accepted = algorithms.stream().map(JWSAlgorithm::parse).collect(Collectors.toSet());
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(accepted, keys));
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(
                audience, new JWTClaimsSet.Builder().issuer(issuer).build(), Set.of("sub", "exp"));
        claims.setMaxClockSkew(60); // seconds
        processor.setJWTClaimsSetVerifier(claims);
    }

    /** The claims of a valid token; else an exception that says why it is not valid. */
    public JWTClaimsSet verify(String token) throws Exception {
        return processor.process(token, null);
    }

    private static String required(String name) {
        var value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalArgumentException(name + " is required");
        }
        return value;
    }

    public static void main(String[] arguments) throws Exception {
        var algorithms = System.getenv().getOrDefault("ALGORITHMS", "ES256").split(",");
        var verifier = new Verify(
                URI.create(required("JWKS_URL")),
                required("ISSUER"),
                required("AUDIENCE"),
                Arrays.stream(algorithms).collect(Collectors.toSet()));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (var line = lines.readLine(); line != null; line = lines.readLine()) {
            String answer;
            try {
                answer = "valid " + verifier.verify(line.strip()).getSubject();
            } catch (Exception error) {
                // Put on one line: it may quote the token's header, which anyone can write.
                var reason = Objects.requireNonNullElse(error.getMessage(), error.getClass().getSimpleName());
                answer = "invalid " + reason.replaceAll("\\s+", " ");
            }
            System.out.println(answer);
        }
        System.exit(0); // Nimbus's thread that fetches ahead may still be there
    }
}
