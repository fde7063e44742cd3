# shellcheck shell=bash
# Short-lived credentials of a cloud by the job's OIDC token, access to the cluster, and Pulumi's environment: to be
# sourced by a job of GitLab CI with bash. GitHub has actions for it (.github/actions/credentials).
#
# STACK                    whose
# CLOUD                    aws, google, azure, or empty for none
# OIDC_TOKEN               of `id_tokens`
# CLOUD_IDENTITY           AWS: the role's ARN; Google: the service account; Azure: the application's client id
# CLOUD_REGION             region of AWS; location of the cluster on Google
# CLUSTER, CLUSTER_GROUP   the cluster, empty for none; on Azure its resource group
# GOOGLE_PROVIDER          full name of Google's workload identity provider
# AZURE_TENANT, AZURE_SUBSCRIPTION

# A stack of processes is the job's own, wherever the others are.
if [ "$STACK" = local ]; then unset CLOUD PULUMI_BACKEND_URL; fi

_token_file="$(mktemp)"
printf '%s' "${OIDC_TOKEN:-}" > "$_token_file"

case "${CLOUD:-}" in
  aws)
    export AWS_ROLE_ARN="$CLOUD_IDENTITY" AWS_WEB_IDENTITY_TOKEN_FILE="$_token_file" AWS_REGION="$CLOUD_REGION"
    export AWS_ROLE_SESSION_NAME="gitlab-$CI_PROJECT_ID-$CI_JOB_ID"
    if [ -n "${CLUSTER:-}" ]; then aws eks update-kubeconfig --name "$CLUSTER"; fi
    ;;
  google)
    GOOGLE_APPLICATION_CREDENTIALS="$(mktemp --suffix=.json)"
    export GOOGLE_APPLICATION_CREDENTIALS
    gcloud iam workload-identity-pools create-cred-config "$GOOGLE_PROVIDER" --service-account="$CLOUD_IDENTITY" \
      --credential-source-file="$_token_file" --output-file="$GOOGLE_APPLICATION_CREDENTIALS"
    gcloud auth login --quiet --cred-file="$GOOGLE_APPLICATION_CREDENTIALS"
    if [ -n "${CLUSTER:-}" ]; then
      gcloud container clusters get-credentials "$CLUSTER" --location "$CLOUD_REGION"
    fi
    ;;
  azure)
    export AZURE_CLIENT_ID="$CLOUD_IDENTITY" AZURE_TENANT_ID="$AZURE_TENANT" AZURE_FEDERATED_TOKEN_FILE="$_token_file"
    az login --output none --service-principal --username "$CLOUD_IDENTITY" --tenant "$AZURE_TENANT" \
      --federated-token "$OIDC_TOKEN"
    az account set --subscription "$AZURE_SUBSCRIPTION"
    if [ -n "${CLUSTER:-}" ]; then
      az aks get-credentials --name "$CLUSTER" --resource-group "$CLUSTER_GROUP"
      # Clusters that ask Entra for who is there.
      if command -v kubelogin > /dev/null; then kubelogin convert-kubeconfig --login azurecli; fi
    fi
    ;;
  "") ;;
  *)
    echo "CLOUD=$CLOUD: not known (accepted: aws, google, azure, or empty)" >&2
    exit 2
    ;;
esac

_exports="$(.venv/bin/python -m tools.cli env --stack "$STACK")"
eval "$_exports"
