#include "tests/support/http_client.hpp"

#include <curl/curl.h>

#include <memory>
#include <stdexcept>

namespace runledger::test {
namespace {

struct Cleanup {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
    void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};

std::size_t append(char* data, std::size_t size, std::size_t count, void* target) {
    static_cast<std::string*>(target)->append(data, size * count);
    return size * count;
}

curl_mime* form_of(CURL* easy, const HttpRequest& request) {
    curl_mime* mime = curl_mime_init(easy);
    for (const auto& [name, text] : request.parts) {
        curl_mimepart* part = curl_mime_addpart(mime);
        const bool is_file = name.starts_with('@');
        curl_mime_name(part, name.c_str() + (is_file ? 1 : 0));
        curl_mime_data(part, text.data(), text.size());
        if (is_file) {
            curl_mime_filename(part, name.c_str() + 1);
        }
    }
    return mime;
}

}  // namespace

void prepare_libcurl() {
    static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (result != CURLE_OK) {
        throw std::runtime_error(curl_easy_strerror(result));
    }
}

HttpAnswer http_call(const HttpRequest& request) {
    prepare_libcurl();
    const std::unique_ptr<CURL, Cleanup> owned(curl_easy_init());
    CURL* easy = owned.get();
    curl_slist* list = curl_slist_append(nullptr, "Expect:");
    for (const std::string& header : request.headers) {
        // libcurl writes the multipart boundary into a Content-Type of its own.
        if (request.parts.empty() || !header.starts_with("Content-Type:")) {
            list = curl_slist_append(list, header.c_str());
        }
    }
    const std::unique_ptr<curl_slist, Cleanup> headers(list);
    std::unique_ptr<curl_mime, Cleanup> mime;

    HttpAnswer answer;
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");  // 127.0.0.1, whatever proxy the environment names.
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer.headers);
    if (!request.parts.empty()) {
        mime.reset(form_of(easy, request));
        curl_easy_setopt(easy, CURLOPT_MIMEPOST, mime.get());
    } else if (request.body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body->data());
    }
    if (request.method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);  // Or libcurl would wait for the body that Content-Length promises.
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }

    const CURLcode result = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
    if (result != CURLE_OK) {
        answer.error = curl_easy_strerror(result);
    }
    return answer;
}

HttpAnswer http_post(const std::string& url, std::string_view json) {
    return http_call({.url = url, .body = std::string{json}});
}

HttpAnswer http_get(const std::string& url) { return http_call({.url = url, .method = "GET", .headers = {}}); }

}  // namespace runledger::test
