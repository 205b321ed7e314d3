#include "server/process/http_tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace groundswell {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr size_t kPemBytesMax = size_t{1} << 20;

absl::StatusOr<std::string> ReadPem(std::string_view setting, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kPemBytesMax + 1, '\0');
  file.read(text.data(), std::ssize(text));
  text.resize(static_cast<size_t>(file.gcount()));
  if (!file.bad() && !text.empty() && text.size() <= kPemBytesMax) return text;
  return absl::InvalidArgumentError(
      fmt::format("{} is \"{}\": the file cannot be read, is empty, or has more than {} bytes",
                  setting, path, kPemBytesMax));
}

absl::Status CannotUse(std::string_view setting, const std::string& path, const error_code& error) {
  return absl::InvalidArgumentError(
      fmt::format("{} is \"{}\": {}", setting, path, error.message()));
}

// Nobody is asked for a passphrase.
int NoPassphraseForHttp(char*, int, int, void*) { return 0; }

absl::StatusOr<std::shared_ptr<ssl::context>> MakeContext(const HttpTls::Files& files,
                                                          const std::vector<std::string>& texts) {
  const auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // What a connection agreed on is not taken up by another one, so that each is checked by what the
  // files are when it comes.
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(native, NoPassphraseForHttp);
  error_code error;
  context->use_certificate_chain(boost::asio::buffer(texts[0]), error);
  if (error) return CannotUse("tls.certificate_file", files.certificate, error);
  context->use_private_key(boost::asio::buffer(texts[1]), ssl::context::pem, error);
  if (error) return CannotUse("tls.key_file", files.key, error);
  if (SSL_CTX_check_private_key(native) != 1) {
    return absl::InvalidArgumentError(fmt::format(
        "tls.key_file is \"{}\": it is not the key of \"{}\"", files.key, files.certificate));
  }
  if (files.client_ca.empty()) return context;
  context->add_certificate_authority(boost::asio::buffer(texts[2]), error);
  if (error) return CannotUse("tls.client_ca_file", files.client_ca, error);
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  if (error) return CannotUse("tls.client_ca_file", files.client_ca, error);
  return context;
}

void AddName(const ASN1_STRING* text, std::vector<std::string>& names) {
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, text);
  if (length < 0) return;
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<size_t>(length));
  OPENSSL_free(utf8);
  // One with a zero is made to look like another.
  if (!name.empty() && name.find('\0') == name.npos) names.push_back(std::move(name));
}

void AddAddress(const ASN1_OCTET_STRING* address, std::vector<std::string>& names) {
  const int length = ASN1_STRING_length(address);
  if (length != sizeof(in_addr) && length != sizeof(in6_addr)) return;
  char text[INET6_ADDRSTRLEN];
  const int family = length == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)) != nullptr) {
    names.emplace_back(text);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpTls>> HttpTls::Create(Files files) {
  if (files.certificate.empty() || files.key.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("tls.certificate_file is \"{}\" and tls.key_file \"{}\"; both must be named",
                    files.certificate, files.key));
  }
  std::unique_ptr<HttpTls> tls(new HttpTls(std::move(files)));
  if (absl::Status s = tls->Reload(); !s.ok()) return s;
  HttpTls* const self = tls.get();
  tls->reloading_ = std::make_unique<PeriodicThread>(
      PeriodicThread::Scheduling{.name = "http-tls"}, self->files_.reload,
      [self](const PeriodicThread::KeepGoing&) -> std::chrono::milliseconds {
        if (const absl::Status s = self->Reload(); !s.ok()) {
          spdlog::error("{}; the certificate stays as it was", std::string(s.message()));
        }
        return self->files_.reload;
      });
  return tls;
}

absl::Status HttpTls::Reload() {
  std::vector<std::string> texts;
  for (const auto& [setting, path] : {std::pair("tls.certificate_file", &files_.certificate),
                                      std::pair("tls.key_file", &files_.key),
                                      std::pair("tls.client_ca_file", &files_.client_ca)}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> text = ReadPem(setting, *path);
    if (!text.ok()) return text.status();
    texts.push_back(*std::move(text));
  }
  if (texts == texts_) return absl::OkStatus();
  auto context = MakeContext(files_, texts);
  if (!context.ok()) return context.status();
  texts_ = std::move(texts);
  const MutexLock lock(mutex_);
  context_ = *std::move(context);
  return absl::OkStatus();
}

std::shared_ptr<ssl::context> HttpTls::Context() const {
  const MutexLock lock(mutex_);
  return context_;
}

std::vector<std::string> HttpTls::NamesOfPeer(SSL* connection) {
  std::vector<std::string> names;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(connection), &X509_free);
  if (certificate == nullptr || SSL_get_verify_result(connection) != X509_V_OK) return names;
  const X509_NAME* const subject = X509_get_subject_name(certificate.get());
  if (const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0) {
    AddName(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), names);
  }
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> others(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  if (others == nullptr) return names;
  for (int at = 0; at < sk_GENERAL_NAME_num(others.get()); ++at) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(others.get(), at);
    if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL) {
      AddName(name->d.ia5, names);
    } else if (name->type == GEN_IPADD) {
      AddAddress(name->d.iPAddress, names);
    }
  }
  return names;
}

}  // namespace groundswell
