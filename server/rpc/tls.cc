#include "server/rpc/tls.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace groundswell {
namespace {

using File = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

absl::Status WrongFile(std::string_view setting, const std::string& path, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{} is \"{}\": {}", setting, path, what));
}

// Nobody is asked for a passphrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::StatusOr<Certificate> ReadCertificate(std::string_view setting, const std::string& path) {
  const File file(BIO_new_file(path.c_str(), "r"), &BIO_free);
  if (file == nullptr) return WrongFile(setting, path, "the file cannot be opened");
  Certificate read(PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr), &X509_free);
  if (read == nullptr) return WrongFile(setting, path, "it must begin with a certificate in PEM");
  return read;
}

absl::StatusOr<Key> ReadKey(std::string_view setting, const std::string& path) {
  const File file(BIO_new_file(path.c_str(), "r"), &BIO_free);
  if (file == nullptr) return WrongFile(setting, path, "the file cannot be opened");
  Key read(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr), &EVP_PKEY_free);
  if (read == nullptr) {
    return WrongFile(setting, path, "it must be a private key in PEM, without a passphrase");
  }
  return read;
}

// gRPC reads the files itself, and would only log what is wrong with them.
absl::Status CheckFiles(const TlsOptions& options) {
  if (options.key_file.empty())
    return WrongFile("tls.key_file", "", "tls.certificate_file needs it");
  const auto certificate = ReadCertificate("tls.certificate_file", options.certificate_file);
  if (!certificate.ok()) return certificate.status();
  const auto key = ReadKey("tls.key_file", options.key_file);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return WrongFile("tls.key_file", options.key_file,
                     fmt::format("it is not the key of \"{}\"", options.certificate_file));
  }
  if (options.client_ca_file.empty()) return absl::OkStatus();
  return ReadCertificate("tls.client_ca_file", options.client_ca_file).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& options) {
  if (options.certificate_file.empty()) {
    for (const auto& [setting, path] : {std::pair("tls.key_file", options.key_file),
                                        std::pair("tls.client_ca_file", options.client_ca_file)}) {
      if (!path.empty()) return WrongFile(setting, path, "it needs tls.certificate_file");
    }
    return grpc::InsecureServerCredentials();
  }
  if (absl::Status s = CheckFiles(options); !s.ok()) return s;
  const auto interval = static_cast<unsigned int>(options.reload.count());
  const bool is_mutual = !options.client_ca_file.empty();
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> files;
  if (is_mutual) {
    files = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        options.key_file, options.certificate_file, options.client_ca_file, interval);
  } else {
    files = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        options.key_file, options.certificate_file, interval);
  }
  grpc::experimental::TlsServerCredentialsOptions credentials(files);
  credentials.watch_identity_key_cert_pairs();
  if (is_mutual) {
    credentials.watch_root_certs();
    credentials.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(credentials);
}

}  // namespace groundswell
